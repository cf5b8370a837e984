# Sourced by run.sh: what 50,000 messages for a dead destination cost the mail for others.
#
# Four instances run at once: `clean` and `control` with nothing queued, `refused` (every connection is refused: the messages are deferred) and `silent` (connections
# are taken and nothing is ever said: the messages stay in the active queue, the harder case). The same load goes through each in
# turn, in another order each round, by the same transport as the dead mail (relay) and by discard. A pair is a loaded instance's rate over the clean
# one's in the same round; the median of the pairs is judged; what it is for the control is noise. Back-off is main.cf's default, so that no retry falls into the rounds; what
# retries cost is printed, not judged: they are work that was asked for.

dead_bound=0.95
declare -A dead_ports=()

# dead_start NAME SYSTEM PORT-OF-THE-DESTINATION
dead_start() {
    dead_ports[$1]=$((port + 10 + ${#dead_ports[@]}))
    DEAD_PORT=$3 start_system "$2" dead "$work/dead-$1" "${dead_ports[$1]}" "$sink"
}

# dead_fill NAME COUNT: queues COUNT messages for the dead destination.
dead_fill() { smtp-source -d -s 100 -m "$2" -l 1000 -f from@example.org -t to@dead.example "127.0.0.1:${dead_ports[$1]}" >/dev/null; }

# dead_load NAME relay|discard COUNT: prints "rate cpu-ms-per-message".
dead_load() {
    local recipient=to@example.net figures pid before
    pid=$(tr -d ' ' <"$work/dead-$1/queue/pid/master.pid")
    [ "$2" = discard ] && recipient=to@discard.example
    before=$(python3 bench/measure.py cpu "$pid")
    figures=$(timed_load dead "$3" "${dead_ports[$1]}" "$work/dead-$1/maillog" "$recipient") || return 1
    echo "${figures%% *} $(calc "($(python3 bench/measure.py cpu "$pid") - $before) * 1000 / $3" %.4f)"
}

dead_queued() { "$([ "$2" = postwright ] && echo "$sbin/postqueue" || echo /usr/sbin/postqueue)" -c "$work/dead-$1/etc" -j 2>/dev/null | grep -c dead.example; }

# dead_cpu NAME: ms of CPU a second while nothing comes.
dead_cpu() {
    local pid before
    pid=$(tr -d ' ' <"$work/dead-$1/queue/pid/master.pid")
    before=$(python3 bench/measure.py cpu "$pid")
    sleep 5
    calc "($(python3 bench/measure.py cpu "$pid") - $before) * 1000 / 5"
}

# dead_rounds COUNT PAIRS NAME...: one line a round in dead.KIND: rate and CPU of each NAME in that order.
dead_rounds() {
    local count=$1 pairs=$2 round kind name shift
    local -A rate=()
    shift 2
    local names=("$@")
    for name in "${names[@]}"; do
        for kind in relay discard; do
            dead_load "$name" "$kind" "$count" >/dev/null || return 1
        done
    done
    for kind in relay discard; do
        : >"$work/dead.$kind"
        for round in $(seq "$pairs"); do
            for shift in $(seq 0 $((${#names[@]} - 1))); do
                # Another one first each round, and backwards every other, so that none always follows the same one.
                name=${names[$(((round + ${#names[@]} + (round % 2 ? shift : -shift)) % ${#names[@]}))]}
                rate[$name]=$(dead_load "$name" "$kind" "$count") || return 1
            done
            for name in "${names[@]}"; do echo "${rate[$name]}"; done | paste -s -d ' ' >>"$work/dead.$kind"
        done
    done
}

# pair_median KIND COLUMN: the median of that column over the clean one's; the rates stand in columns 1, 3..., the CPU in 2, 4...
pair_median() { awk -v c="$2" '{printf "%.4f\n", $c / $(c % 2 ? 1 : 2)}' "$work/dead.$1" | median; }

# dead_rates KIND: the rates of all rounds.
dead_rates() { awk '{for (i = 1; i <= NF; i += 2) printf "%s%s", $i, i + 1 < NF ? " " : ", "}' "$work/dead.$1"; }

row_dead() {
    local backlog=${DEAD_MESSAGES:-50000} pairs=$((2 * rounds + 1)) kind name number share
    local sinkpid mute=$((port + 2)) refuse=$((port + 3)) names=(clean control refused silent)
    start_sink smtp-sink
    sinkpid=$helper
    start_helper python3 bench/measure.py mute "$mute"
    for name in "${names[@]}"; do
        dead_start "$name" postwright "$([ "$name" = silent ] && echo "$mute" || echo "$refuse")" || return 1
    done
    dead_fill refused "$backlog" && dead_fill silent "$backlog" || return 1
    "$tools/loglines" "$work/dead-refused/maillog" 0 "status=deferred" "$backlog" 120 >/dev/null || return 1
    sleep 2
    printf 'dead      queued: refused %s, silent %s; CPU while nothing comes: clean %s, refused %s, silent %s ms a second\n' \
        "$(dead_queued refused postwright)" "$(dead_queued silent postwright)" "$(dead_cpu clean)" "$(dead_cpu refused)" "$(dead_cpu silent)"
    dead_rounds "$messages" "$pairs" "${names[@]}" || return 1
    for kind in relay discard; do
        printf 'dead      %-8s median: clean %.0f/s, control %.0f/s, refused %.0f/s, silent %.0f/s   rounds: %s\n' "$kind" \
            "$(column "$work/dead.$kind" 1)" "$(column "$work/dead.$kind" 3)" "$(column "$work/dead.$kind" 5)" "$(column "$work/dead.$kind" 7)" "$(dead_rates "$kind")"
        printf 'dead      %-8s over clean, median of pairs: control %.3f; CPU per message: control %.3f, refused %.3f, silent %.3f\n' "$kind" \
            "$(pair_median "$kind" 3)" "$(pair_median "$kind" 4)" "$(pair_median "$kind" 6)" "$(pair_median "$kind" 8)"
        if holds "$(pair_median "$kind" 3) < $dead_bound || $(pair_median "$kind" 3) > 2 - $dead_bound"; then
            echo "dead      WARNING: the control is off by more than the bound: this run is too noisy to judge $kind"
        fi
        number=5
        for name in refused silent; do
            share=$(pair_median "$kind" "$number")
            judge dead "of the clean rate, $kind beside $backlog $name, median of $pairs pairs" "$(calc "$share" %.3f)" "at least $dead_bound" "$share >= $dead_bound"
            number=$((number + 2))
        done
    done
    "$sbin/postqueue" -c "$work/dead-refused/etc" -f
    echo "dead      relay while all of refused are tried again (rate, CPU ms a message; not judged): $(dead_load refused relay "$messages")"
    stop_everything
    dead_postfix
}

# The same for Postfix, with fewer messages: it takes minutes to defer 50,000.
dead_postfix() {
    local backlog=$((${DEAD_MESSAGES:-50000} / 10)) kind
    start_sink smtp-sink
    dead_ports=()
    dead_start clean postfix-tuned $((port + 3)) && dead_start refused postfix-tuned $((port + 3)) || return 1
    dead_fill refused "$backlog" || return 1
    "$tools/loglines" "$work/dead-refused/maillog" 0 "status=deferred" "$backlog" 120 >/dev/null || return 1
    dead_rounds "$((postfix_messages / 4))" 3 clean refused || return 1
    for kind in relay discard; do
        printf 'dead      Postfix (tuned), %s beside %s refused, not judged: %s of the clean rate, median of 3 pairs   rounds: %s\n' "$kind" "$backlog" \
            "$(calc "$(pair_median "$kind" 3)" %.3f)" "$(dead_rates "$kind")"
    done
}
