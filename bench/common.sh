# Sourced by run.sh: tools, numbers, verdicts, and what is left running.

tools=$PWD/artifacts/bench/bin
build_tools() {
    local source
    mkdir -p "$tools"
    for source in bench/tools/*.c; do
        gcc -O2 -Wall -Wextra -pthread -o "$tools/$(basename "${source%.c}")" "$source" || return 1
    done
}

median() { sort -g | awk '{v[NR]=$1} END {if (NR) print NR % 2 ? v[(NR+1)/2] : (v[NR/2] + v[NR/2+1]) / 2; else print 0}'; }
# column FILE N: the median of its Nth column.
column() { [ -s "$1" ] && cut -d' ' -f"$2" "$1" | median || echo 0; }
calc() { awk "BEGIN {printf \"${2:-%.1f}\", $1}"; }
holds() { awk "BEGIN {exit !($1)}"; }

# verdict ROW WHAT MEASURED WANTED pass|short|printed: a line of the table at the end; WANTED is - where nothing is.
verdict() {
    printf '%s|%s|%s|%s|%s\n' "$@" >>"$work/verdicts"
    if [ "$4" = - ]; then printf '%-9s %s: %s\n' "$1" "$2" "$3"; else printf '%-9s %s: %s, wanted %s: %s\n' "$@"; fi
}

# judge ROW WHAT MEASURED WANTED CONDITION
judge() {
    if holds "$5"; then verdict "$1" "$2" "$3" "$4" pass; else verdict "$1" "$2" "$3" "$4" short; fi
}

print_verdicts() {
    [ -s "$work/verdicts" ] || return 0
    echo
    awk -F'|' 'BEGIN {printf "%-9s  %-70s  %-9s  %-14s  %s\n", "row", "what", "measured", "wanted", "verdict"}
        {printf "%-9s  %-70s  %-9s  %-14s  %s\n", $1, $2, $3, $4, $5; if ($5 ~ /^pass/) pass++; if ($5 == "short") short++}
        END {printf "%d pass, %d short\n", pass, short}' "$work/verdicts"
    if [ -s "$work/unquiet" ]; then
        echo "NOT A QUIET MACHINE, the figures are no measurement: $(tr '\n' ' ' <"$work/unquiet")"
    fi
}

# Systems that run, as "SYSTEM DIR", and other processes of ours, so that an interrupted run leaves nothing behind.
declare -A running=()
declare -A helpers=()
stop_everything() {
    local key
    for key in "${!running[@]}"; do
        stop_system ${running[$key]}
    done
    for key in "${!helpers[@]}"; do
        stop_helper "$key"
    done
}
# start_helper COMMAND...: in the background, its number in $helper.
start_helper() {
    "$@" &
    helper=$!
    helpers[$helper]=TERM
}
# With the signal that is kept beside its number.
stop_helper() {
    kill -s "${helpers[$1]:-TERM}" "$1" 2>/dev/null
    wait "$1" 2>/dev/null
    unset "helpers[$1]"
}

finish() {
    local status=$?
    trap '' INT TERM
    stop_everything
    print_verdicts
    [ -s "$work/verdicts" ] && echo "whole run: $((SECONDS - ${begun:-SECONDS})) s; kept in $report"
    rm -rf "$work"
    # Ends the copy into the report.
    exec >&- 2>&-
    wait
    exit "$status"
}

# CPU time of all processes but the idle one, in hundredths of a second of one core.
busy_ticks() { awk '/^cpu / {print $2 + $3 + $4 + $7 + $8 + $9}' /proc/stat; }

# Others' work disturbs every figure: looked for before each row, while nothing of ours runs.
note_others_work() {
    local before share
    before=$(busy_ticks)
    sleep 1
    share=$(calc "($(busy_ticks) - $before) / ($(nproc) * $(getconf CLK_TCK)) * 100" %.0f)
    if [ "$share" -gt 8 ]; then
        echo "WARNING: before $1 other processes took $share% of the CPU"
        echo "$1:$share%" >>"$work/unquiet"
    fi
}

describe_machine() {
    echo "Postwright $(cd "$(dirname "$(readlink -f "$sbin/postwright")")" && git rev-parse --short HEAD 2>/dev/null) (built $(date -r "$sbin/postwright" '+%F %T')), Postfix $(/usr/sbin/postconf -h mail_version), $(. /etc/os-release; echo "$PRETTY_NAME"), Linux $(uname -r)"
    echo "$(nproc) cores ($(awk -F': ' '/^model name/ {print $2; exit}' /proc/cpuinfo)), $(awk '/^MemTotal/ {printf "%.0f", $2 / 1048576}' /proc/meminfo) GB, $(findmnt -no FSTYPE -T "$work"), load average $(cut -d' ' -f1-3 /proc/loadavg)"
    echo "disk      $(python3 bench/measure.py disk "$work") synced 4 KiB writes/s by one writer; $("$tools/syncfiles" "$work" 4096 100 2) files of 4 KiB created, synced, unlinked/s by 100 writers"
    echo "rounds    $rounds, Postwright $messages messages a round, Postfix $postfix_messages"
}
