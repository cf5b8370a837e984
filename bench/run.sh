#!/usr/bin/env bash
# Measures Postwright beside Postfix; see README.md beside this file. bench/run.sh [ROW ...]
set -uo pipefail
cd "$(dirname "$0")/.."
. build/packages.sh
for part in common systems throughput memory latency dead syscalls others tables micro; do
    [ -e "bench/$part.sh" ] && . "bench/$part.sh"
done

all_rows=(discard relay maildir single large latency dead idle syscalls others tables micro)
rows=("$@")
[ ${#rows[@]} -gt 0 ] || rows=("${all_rows[@]}")
for row in "${rows[@]}"; do
    declare -F "row_$row" >/dev/null || { echo "bench: no such row: $row (${all_rows[*]})" >&2; exit 64; }
done
[ "$(id -u)" -eq 0 ] || { echo "bench: Postfix needs root, so this does" >&2; exit 1; }
need postfix python3 procps gcc libc6-dev strace || exit 1
sbin=${POSTWRIGHT_SBIN:-$PWD/artifacts/sbin}
[ -x "$sbin/postwright" ] || build/publish.sh || exit 1
build_tools || exit 1

rounds=${ROUNDS:-5}
messages=${MESSAGES:-20000}
# Postfix gets a quarter, so that a round takes both systems about as long; rates are compared, not times.
postfix_messages=${POSTFIX_MESSAGES:-$((messages / 4))}
port=$((20000 + RANDOM % 10000))
sink=$((port + 1))
work=$PWD/artifacts/bench/run-$$
report=$PWD/artifacts/bench/$(date +%Y-%m-%d-%H%M%S).txt
mkdir -p "$work"
# Each run's directory in a block group of its own, so that no run pays for the inodes that another one deleted.
chattr +T "$work" 2>/dev/null || true
: >"$work/verdicts"
exec > >(trap '' INT TERM; exec tee "$report") 2>&1
trap finish EXIT
trap 'exit 130' INT TERM

begun=$SECONDS
describe_machine
for row in "${rows[@]}"; do
    note_others_work "$row"
    row_begun=$SECONDS
    "row_$row" || { echo "bench: $row: could not be measured"; verdict "$row" "measured" - - short; }
    stop_everything
    echo "         ($row took $((SECONDS - row_begun)) s)"
done
