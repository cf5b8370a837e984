#!/usr/bin/env bash
# The proof from outside: real processes under load, disturbed. As root, since the agent delivers as the recipient.
#
#   run.sh crash [ROUNDS [SESSIONS [KIND,...]]]   kill -9, SIGSTOP, reload, stop and start at random moments
#   run.sh faults [SECONDS [CELLS]]    system calls that fail; SECONDS for each cell of the matrix
#   run.sh fulldisk                    queue and mailboxes on a full ext4; exit status 77 where none can be mounted
#   run.sh soak [MINUTES]              a day of mail in minutes: memory, descriptors, threads and space stay flat
set -euo pipefail
cd "$(dirname "$0")/../.."
. build/packages.sh
name=$1
shift
[ "$(id -u)" -eq 0 ] || { echo "$name: needs root, as master does" >&2; exit 1; }
need python3 procps postfix
export POSTWRIGHT_SBIN=${POSTWRIGHT_SBIN:-$PWD/artifacts/sbin} PYTHONDONTWRITEBYTECODE=1
[ -x "$POSTWRIGHT_SBIN/postwright" ] || build/publish.sh
work=$PWD/artifacts/$name/run-$$
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
case "$name" in
    crash) python3 tests/outside/crash.py "$POSTWRIGHT_SBIN" "$work" "${1:-20}" "${2:-50}" ${3:+"$3"} ;;
    faults) need strace && python3 tests/outside/faults.py "$POSTWRIGHT_SBIN" "$work" "${1:-1}" ${2:+"$2"} ;;
    fulldisk) need e2fsprogs mount && python3 tests/outside/fulldisk.py "$POSTWRIGHT_SBIN" "$work" ;;
    soak) python3 tests/outside/soak.py "$POSTWRIGHT_SBIN" "$work" "${1:-60}" "artifacts/soak/samples.csv" ;;
    *) echo "run.sh: no such proof: $name" >&2; exit 64 ;;
esac
