#!/usr/bin/env bash
# Builds, shows and proves Postwright. Run without arguments for the programs, with --help for the rest.
set -euo pipefail
cd "$(dirname "$0")"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

usage() {
    cat <<'EOF'
usage: ./build.sh [COMMAND]

  (none)               publish the native programs into artifacts/sbin
  demo                 start a server on 127.0.0.1:2525 in a throw-away directory, send a message through it
  test                 run every test; the last line is "N passed, N failed, N skipped"
  bench [ROW ...]      measure against the real Postfix (see bench/README.md)
  simulate [OPTIONS]   run the whole mail system in simulated worlds (--seeds N --hours H; tests/Postwright.Simulation)
  mutate [NAME ...]    plant faults in a copy of the source, one after the other: the simulator must find each (tests/mutations)
  crash [ROUNDS]       kill the server under load: nothing accepted is lost, every duplicate has a cause
  faults [SECONDS]     let system calls of the server fail under load, SECONDS for each cell of the matrix
  soak [MINUTES]       72 hours of mail in 60 minutes, or a part of it in fewer: memory, descriptors and space stay flat
  install [DESTDIR]    as root: install programs, users, groups, directories, examples, systemd unit
  uninstall [DESTDIR]  as root: take them away again (configuration and mail stay)
EOF
}

command=${1:-publish}
[ $# -gt 0 ] && shift
case "$command" in
    publish) exec build/publish.sh "$@" ;;
    demo | test | bench | crash | faults | soak | simulate | mutate | install | uninstall)
        script=build/$command.sh
        case "$command" in bench) script=bench/run.sh ;; mutate) script=tests/mutations/run.sh ;; crash | faults | soak) script=tests/outside/run.sh; set -- "$command" "$@" ;; esac
        exec "$script" "$@" ;;
    -h | --help | help) usage ;;
    *) echo "build.sh: no such command: $command" >&2; usage >&2; exit 64 ;;
esac
