# Sourced by run.sh: system calls per message, by strace -f -c on every process of a system. strace slows a system by several times,
# so that batches form otherwise than at full speed: what is per batch (epoll_wait, fdatasync, writes of the log) is an upper bound.

# traced SYSTEM ROW COUNT: prints calls per message, the frequent ones by name.
traced() {
    local system=$1 row=$2 count=$3 dir=$work/$1-$2-traced pid each sinkpid= tracer pids=()
    if [ "$row" = relay ]; then start_sink smtp-sink; sinkpid=$helper; fi
    start_system "$system" "$row" "$dir" "$port" "$sink" || return 1
    pid=$(tr -d ' ' <"$dir/queue/pid/master.pid")
    timed_load "$row" 500 "$port" "$dir/maillog" >/dev/null || return 1
    for each in $(python3 bench/measure.py pids "$pid"); do pids+=(-p "$each"); done
    strace -f -c -U name,calls -o "$work/strace.out" "${pids[@]}" 2>"$work/strace.err" &
    tracer=$!
    helpers[$tracer]=INT
    sleep 2
    timed_load "$row" "$count" "$port" "$dir/maillog" >/dev/null || { cat "$work/strace.err"; return 1; }
    kill -INT "$tracer"
    wait "$tracer"
    unset "helpers[$tracer]"
    awk -v n="$count" -v row="$row" -v name="$system" '
        $2 ~ /^[0-9]+$/ && $1 != "total" {calls[$1] += $2; total += $2}
        END {
            printf "syscalls  %-8s %-10s %6.1f per message (syncs %.3f):", row, name, total / n, (calls["fdatasync"] + calls["fsync"]) / n
            while (shown++ < 14) {
                best = ""
                for (call in calls) if (best == "" || calls[call] > calls[best]) best = call
                if (best == "" || calls[best] < n / 100) break
                printf " %s %.2f", best, calls[best] / n
                delete calls[best]
            }
            print ""
            print total / n >"'"$work/traced.$row.$system"'"
        }' "$work/strace.out"
    stop_system "$system" "$dir"
    if [ -n "$sinkpid" ]; then stop_helper "$sinkpid"; fi
}

row_syscalls() {
    local row system
    for row in discard relay single; do
        for system in postfix postwright; do
            traced "$system" "$row" "${TRACED_MESSAGES:-2000}" || return 1
        done
        verdict syscalls "per message, $row (Postfix $(calc "$(cat "$work/traced.$row.postfix")"))" "$(calc "$(cat "$work/traced.$row.postwright")")" - printed
    done
}
