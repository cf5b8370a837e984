# Sourced by run.sh: the rows whose figure is messages a second.

# load ROW COUNT PORT [RECIPIENT]: what smtp-source sends in a row.
load() {
    local sessions=100 bytes=1000
    case "$1" in single) sessions=1 ;; large) sessions=20 bytes=1000000 ;; esac
    smtp-source -d -s "$sessions" -m "$2" -l "$bytes" -f from@example.org -t "${4:-to@example.net}" "127.0.0.1:$3"
}

# count_of SYSTEM ROW
count_of() {
    local count=$messages
    case "$1" in postwright | ceiling*) ;; *) count=$postfix_messages ;; esac
    case "$2" in single) count=$((count / 5)) ;; large) count=$((count / 20)) ;; maildir) count=$((count / 2)) ;; esac
    echo $((count > 20 ? count : 20))
}

# A sink on $sink; its number in $helper.
start_sink() {
    case "$1" in
        smtp-sink) start_helper smtp-sink -u nobody "127.0.0.1:$sink" 1000 ;;
        receive) start_helper "$tools/receive" "$sink" ;;
    esac
    sleep 0.5
}

# timed_load ROW COUNT PORT LOG [RECIPIENT]: prints "rate accept-rate ms-CPU-of-smtp-source-per-message"; LOG empty where
# nothing is to be waited for but the last reply.
timed_load() {
    local begun accepted ended offset=0 TIMEFORMAT='%U %S'
    [ -n "$4" ] && offset=$(stat -c %s "$4")
    begun=$EPOCHREALTIME
    { time load "$1" "$2" "$3" "${5:-}" >/dev/null 2>"$work/source.err"; } 2>"$work/source.cpu" || { cat "$work/source.err" >&2; return 1; }
    accepted=$EPOCHREALTIME
    ended=$accepted
    if [ -n "$4" ]; then
        ended=$("$tools/loglines" "$4" "$offset" ": removed" "$2" 300) || return 1
    fi
    awk -v n="$2" -v b="$begun" -v a="$accepted" -v e="$ended" '{printf "%.0f %.0f %.4f\n", n/(e-b), n/(a-b), ($1+$2)*1000/n}' "$work/source.cpu"
}

# one SYSTEM ROW: prints "rate accept-rate cpu-ms-per-message source-cpu-ms-per-message"
one() {
    local system=$1 row=$2 dir count warm pid cpu0 figures
    dir=$work/$system-$row
    count=$(count_of "$system" "$row")
    warm=$((count / 10 > 200 ? count / 10 : 200))
    [ "$row" = large ] && warm=20
    start_system "$system" "$row" "$dir" "$port" "$sink" >&2 || return 1
    pid=$(tr -d ' ' <"$dir/queue/pid/master.pid")
    timed_load "$row" "$warm" "$port" "$dir/maillog" >/dev/null || return 1
    sync
    cpu0=$(python3 bench/measure.py cpu "$pid")
    figures=$(timed_load "$row" "$count" "$port" "$dir/maillog") || return 1
    set -- $figures "$(python3 bench/measure.py cpu "$pid")"
    stop_system "$system" "$dir"
    # Kept until the end: ext4 does not give out inodes that were deleted a moment ago, and looks for others at length, so
    # that removing one run's files would slow the next run's.
    mv "$dir" "$dir.$EPOCHREALTIME"
    echo "$1 $2 $(calc "($4 - $cpu0) * 1000 / $count" %.3f) $3"
}

# ceiling ROW: prints what no server could be above in this row, once a round.
ceiling() {
    local figures rate files count
    count=$(count_of ceiling "$1")
    if [ "$1" = large ]; then
        start_sink receive
    else
        start_sink smtp-sink
    fi
    figures=$(timed_load "$1" "$count" "$sink" "") || return 1
    stop_helper "$helper"
    rate=${figures%% *}
    files=-
    if [ "$1" = large ]; then
        files=$("$tools/syncfiles" "$work" 1000000 20 1)
    fi
    echo "$rate $files"
}

# measure ROW NEEDED: rounds in turn, medians, ratio, verdict
measure() {
    local row=$1 needed=$2 system round file sinkpid= ours best bound files
    for round in $(seq "$rounds"); do
        ceiling "$row" >>"$work/$row.ceiling"
        if [ "$row" = relay ]; then start_sink smtp-sink; sinkpid=$helper; fi
        for system in postfix postfix-tuned postwright; do
            one "$system" "$row" >>"$work/$row.$system" || { echo "bench: $system $row: round $round failed"; stop_everything; }
        done
        if [ -n "$sinkpid" ]; then stop_helper "$sinkpid"; fi
    done
    for system in postfix postfix-tuned postwright; do
        file=$work/$row.$system
        [ -s "$file" ] || return 1
        printf '%-9s %-14s %7.0f/s  accepted %7.0f/s  CPU %.3f ms/message, smtp-source %.3f   rounds: %s\n' "$row" "$system" \
            "$(column "$file" 1)" "$(column "$file" 2)" "$(column "$file" 3)" "$(column "$file" 4)" "$(cut -d' ' -f1 "$file" | tr '\n' ' ')"
    done
    ours=$(column "$work/$row.postwright" 1)
    best=$(printf '%s\n' "$(column "$work/$row.postfix" 1)" "$(column "$work/$row.postfix-tuned" 1)" | sort -g | tail -n 1)
    bound=$(column "$work/$row.ceiling" 1)
    if [ "$row" = large ]; then
        files=$(column "$work/$row.ceiling" 2)
        printf '%-9s ceiling        %7.0f/s  smtp-source to a receiver that throws away; %.0f/s files of 1 MB written, synced, unlinked by 20 writers   rounds: %s\n' \
            "$row" "$bound" "$files" "$(tr '\n' ',' <"$work/$row.ceiling")"
        if holds "$files < $bound"; then bound=$files; fi
    else
        printf '%-9s ceiling        %7.0f/s  smtp-source straight to smtp-sink   rounds: %s\n' "$row" "$bound" "$(cut -d' ' -f1 "$work/$row.ceiling" | tr '\n' ' ')"
    fi
    ratio_verdict "$row" "$ours" "$best" "$needed" "$bound"
    if [ "$row" = discard ]; then
        judge discard "share of smtp-source straight to smtp-sink" "$(calc "$ours / $bound" %.2f)" 0.50 "$ours >= 0.5 * $bound"
    fi
}

# ratio_verdict ROW OURS POSTFIX NEEDED CEILING: three quarters of the ceiling count as met, whatever the ratio.
ratio_verdict() {
    local ratio what="times Postfix ($(calc "$2" %.0f)/s against $(calc "$3" %.0f)/s; ceiling $(calc "$5" %.0f)/s)"
    ratio=$(calc "$2 / $3")
    if holds "$2 < $4 * $3 && $2 >= 0.75 * $5"; then
        verdict "$1" "$what" "$ratio" "$4" "pass (75% of the ceiling)"
    else
        judge "$1" "$what" "$ratio" "$4" "$2 >= $4 * $3"
    fi
}

row_discard() { measure discard 15; }
row_relay() { measure relay 12; }
row_maildir() { measure maildir 4; }
row_single() { measure single 2; }
row_large() { measure large 4; }
