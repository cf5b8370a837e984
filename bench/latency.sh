# Sourced by run.sh: how long a client waits for the reply to its final dot while the server is half busy.

pace_sessions=50

# paced SYSTEM RATE: prints "p50 p99 max rate waited" (ms) of one round at RATE messages a second.
paced() {
    local dir=$work/$1-latency figures
    start_system "$1" latency "$dir" "$port" "$sink" >&2 || return 1
    # All processes are started and the files are there before anything is counted.
    load latency 500 "$port" >/dev/null || return 1
    figures=$("$tools/pace" "$port" "$pace_sessions" "$2" "$(calc "$2 * ${PACE_SECONDS:-4}" %.0f)") || return 1
    stop_system "$1" "$dir"
    mv "$dir" "$dir.$EPOCHREALTIME"
    echo "$figures"
}

# The rates in discard.SYSTEM: of this run's discard row where there is one, else of a single round now. Not in a subshell, so that an
# interrupted run knows what to stop.
discard_rates() {
    local name
    for name in postfix postfix-tuned postwright; do
        [ -s "$work/discard.$name" ] || one "$name" discard >"$work/discard.$name" || return 1
    done
}

row_latency() {
    local a b half own round name file median
    discard_rates || return 1
    a=$(column "$work/discard.postfix" 1) b=$(column "$work/discard.postfix-tuned" 1) own=$(column "$work/discard.postwright" 1)
    half=$(calc "($a > $b ? $a : $b) / 2" %.0f)
    own=$(calc "$own / 2" %.0f)
    for round in $(seq "$rounds"); do
        for name in postfix postfix-tuned postwright; do
            paced "$name" "$half" >>"$work/latency.$name" || { echo "bench: latency $name: round $round failed"; stop_everything; }
        done
        paced postwright "$own" >>"$work/latency.own" || { echo "bench: latency own: round $round failed"; stop_everything; }
    done
    for name in postfix postfix-tuned postwright own; do
        file=$work/latency.$name
        [ -s "$file" ] || return 1
        printf '%-9s %-14s at %5.0f/s (achieved %5.0f/s): median %6.2f ms, p99 %6.2f ms, longest %6.2f ms   rounds p50/p99: %s\n' latency "${name/own/postwright}" \
            "$([ "$name" = own ] && echo "$own" || echo "$half")" "$(column "$file" 4)" "$(column "$file" 1)" "$(column "$file" 2)" "$(column "$file" 3)" \
            "$(awk '{printf "%s/%s ", $1, $2}' "$file")"
    done
    # The faster of Postfix's two is what counts.
    median=$(calc "$(column "$work/latency.postfix" 1) < $(column "$work/latency.postfix-tuned" 1) ? $(column "$work/latency.postfix" 1) : $(column "$work/latency.postfix-tuned" 1)" %.2f)
    judge latency "ms, p99 at half of Postfix's load ($half/s)" "$(column "$work/latency.postwright" 2)" "below $median" "$(column "$work/latency.postwright" 2) < $median"
    judge latency "ms, p99 at half of its own load ($own/s)" "$(column "$work/latency.own" 2)" "below $median" "$(column "$work/latency.own" 2) < $median"
    if holds "$(column "$work/latency.own" 4) < 0.97 * $own"; then
        echo "latency   WARNING: the rate of $own/s was not reached"
    fi
}
