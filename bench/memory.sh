# Sourced by run.sh: the memory of 10,000 sessions that have said EHLO and do nothing.

row_idle() {
    local dir=$work/idle pid holder before after
    ulimit -n 20000 2>/dev/null
    start_system postwright idle "$dir" "$port" "$sink" || return 1
    pid=$(tr -d ' ' <"$dir/queue/pid/master.pid")
    before=$(python3 bench/measure.py pss "$pid")
    coproc HOLD { exec python3 bench/measure.py sessions "$port" 10000 75; }
    holder=$HOLD_PID
    helpers[$holder]=TERM
    read -r -u "${HOLD[0]}" _ || { echo "bench: the sessions could not be held"; return 1; }
    sleep 60
    after=$(python3 bench/measure.py pss "$pid")
    echo "idle      $(python3 bench/measure.py processes "$pid"); $before MB before the sessions"
    judge idle "MB PSS of all processes with 10,000 idle sessions" "$after" "below 250" "$after < 250"
    stop_helper "$holder"
    stop_system postwright "$dir"
}
