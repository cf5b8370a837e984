#!/usr/bin/env bash
# Kills the server's processes at random moments under load, and counts that every message that got 250 arrives.
# tests/crash/run.sh [ROUNDS [SESSIONS]]; as root, since the agent delivers as the recipient.
set -euo pipefail
cd "$(dirname "$0")/../.."
. build/packages.sh
[ "$(id -u)" -eq 0 ] || { echo "crash: needs root, as master does" >&2; exit 1; }
need python3 procps postfix
export POSTWRIGHT_SBIN=${POSTWRIGHT_SBIN:-$PWD/artifacts/sbin}
[ -x "$POSTWRIGHT_SBIN/postwright" ] || build/publish.sh
work=$PWD/artifacts/crash/run-$$
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
python3 tests/crash/crash.py "$POSTWRIGHT_SBIN" "$work" "${1:-20}" "${2:-50}"
