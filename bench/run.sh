#!/usr/bin/env bash
# Measures both systems; see README.md beside this file. bench/run.sh [ROW ...]
set -uo pipefail
cd "$(dirname "$0")/.."
. build/packages.sh
. bench/systems.sh
[ "$(id -u)" -eq 0 ] || { echo "bench: Postfix needs root, so this does" >&2; exit 1; }
need postfix python3 procps || exit 1
sbin=${POSTWRIGHT_SBIN:-$PWD/artifacts/sbin}
[ -x "$sbin/postwright" ] || build/publish.sh || exit 1

rounds=${ROUNDS:-3}
messages=${MESSAGES:-20000}
rows=("$@")
[ ${#rows[@]} -gt 0 ] || rows=(discard relay maildir single large idle)
work=$PWD/artifacts/bench/run-$$
mkdir -p "$work"
# Each run's directory in a block group of its own, so that no run pays for the inodes that another one deleted.
chattr +T "$work" 2>/dev/null || true
port=$((20000 + RANDOM % 10000))
sink=$((port + 1))
sinkpid=
# The current system, so that an interrupted run leaves nothing behind.
running= running_dir=
cleanup() {
    [ -n "$running" ] && stop_system "$running" "$running_dir"
    [ -n "$sinkpid" ] && kill "$sinkpid" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

median() { sort -g | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }
load() { # ROW COUNT PORT: what smtp-source does in a row
    case "$1" in
        single) smtp-source -d -s 1 -m "$2" -l 1000 -f from@example.org -t to@example.net "127.0.0.1:$3" ;;
        large) smtp-source -d -s 20 -m "$2" -l 1000000 -f from@example.org -t to@example.net "127.0.0.1:$3" ;;
        *) smtp-source -d -s 100 -m "$2" -l 1000 -f from@example.org -t to@example.net "127.0.0.1:$3" ;;
    esac
}
count_of() { case "$1" in single) echo $((messages / 4)) ;; large) echo $((messages / 20)) ;; *) echo "$messages" ;; esac; }

start_sink() {
    smtp-sink -u nobody "127.0.0.1:$sink" 1000 &
    sinkpid=$!
    sleep 0.5
}

# one SYSTEM ROW: prints "rate accept-rate cpu-ms-per-message"
one() {
    local system=$1 row=$2 dir count pid begun accepted ended cpu0 cpu1
    dir=$work/$system-$row
    count=$(count_of "$row")
    start_system "$system" "$row" "$dir" "$port" "$sink" >&2 || return 1
    running=$system running_dir=$dir
    pid=$(tr -d ' ' <"$dir/queue/pid/master.pid")
    load "$row" 200 "$port" >/dev/null || return 1
    python3 bench/measure.py wait "$dir/maillog" 200 60 >/dev/null || return 1
    sync
    cpu0=$(python3 bench/measure.py cpu "$pid")
    begun=$(date +%s.%N)
    load "$row" "$count" "$port" >/dev/null || return 1
    accepted=$(date +%s.%N)
    ended=$(python3 bench/measure.py wait "$dir/maillog" $((count + 200)) 300) || return 1
    cpu1=$(python3 bench/measure.py cpu "$pid")
    stop_system "$system" "$dir"
    running=
    # Kept until the end: ext4 does not give out inodes that were deleted a moment ago, and looks for others at length, so
    # that removing one run's files would slow the next run's.
    mv "$dir" "$dir.$(date +%s%N)"
    awk -v n="$count" -v b="$begun" -v a="$accepted" -v e="$ended" -v c0="$cpu0" -v c1="$cpu1" \
        'BEGIN {printf "%.0f %.0f %.3f\n", n/(e-b), n/(a-b), (c1-c0)*1000/n}'
}

# measure ROW NEEDED: rounds in turn, medians, ratio, verdict
measure() {
    local row=$1 needed=$2 system round file ceiling verdict
    [ "$row" = relay ] && start_sink
    for round in $(seq "$rounds"); do
        for system in postfix postfix-tuned postwright; do
            one "$system" "$row" >>"$work/$row.$system" || echo "bench: $system $row: round failed" >&2
        done
    done
    for system in postfix postfix-tuned postwright; do
        file=$work/$row.$system
        printf '%-8s %-14s %7s/s  accepted %7s/s  CPU %6s ms/message   (%s)\n' "$row" "$system" \
            "$(cut -d' ' -f1 "$file" | median)" "$(cut -d' ' -f2 "$file" | median)" "$(cut -d' ' -f3 "$file" | median)" "$(cut -d' ' -f1 "$file" | tr '\n' ' ')"
    done
    [ -n "$sinkpid" ] || start_sink
    begun=$(date +%s.%N)
    load "$row" "$(count_of "$row")" "$sink" >/dev/null
    ceiling=$(awk -v n="$(count_of "$row")" -v b="$begun" -v e="$(date +%s.%N)" 'BEGIN {printf "%.0f", n/(e-b)}')
    kill "$sinkpid"; wait "$sinkpid" 2>/dev/null; sinkpid=
    awk -v row="$row" -v need="$needed" -v ours="$(cut -d' ' -f1 "$work/$row.postwright" | median)" -v ceiling="$ceiling" \
        -v a="$(cut -d' ' -f1 "$work/$row.postfix" | median)" -v b="$(cut -d' ' -f1 "$work/$row.postfix-tuned" | median)" 'BEGIN {
        best = a > b ? a : b; ratio = best > 0 ? ours / best : 0
        verdict = ratio >= need ? "pass" : (ours >= 0.75 * ceiling ? "pass (75% of the ceiling)" : "short")
        printf "%-8s ratio %.1f, needed %s: %s; ceiling %s/s\n", row, ratio, need, verdict, ceiling }'
}

idle() {
    local dir=$work/idle pid holder
    start_system postwright idle "$dir" "$port" "$sink" || return 1
    running=postwright running_dir=$dir
    pid=$(tr -d ' ' <"$dir/queue/pid/master.pid")
    ulimit -n 20000 2>/dev/null
    coproc HOLD { python3 bench/measure.py sessions "$port" 10000 65; }
    holder=$HOLD_PID
    read -r -u "${HOLD[0]}" _ || { echo "bench: the sessions could not be held" >&2; return 1; }
    sleep 60
    printf 'idle     10000 sessions: %s MB PSS, allowed 400\n' "$(python3 bench/measure.py pss "$pid")"
    kill "$holder" 2>/dev/null
    stop_system postwright "$dir"
    running=
}

echo "disk     $(python3 bench/measure.py disk "$work") synced 4 KiB writes/s; $(nproc) cores; $rounds rounds of $messages messages"
for row in "${rows[@]}"; do
    case "$row" in
        discard) measure discard 10 ;;
        relay) measure relay 8 ;;
        maildir) measure maildir 4 ;;
        single) measure single 2 ;;
        large) measure large 4 ;;
        idle) idle ;;
        *) echo "bench: no such row: $row (discard relay maildir single large idle)" >&2; exit 64 ;;
    esac
done
