#!/usr/bin/env bash
# Builds and runs the simulator: ./build.sh simulate --seeds N --hours H; --help names all options.
set -euo pipefail
cd "$(dirname "$0")/.."
. build/packages.sh
need_dotnet
dotnet build -c Release tests/Postwright.Simulation -v q --nologo >/dev/null
exec dotnet tests/Postwright.Simulation/bin/Release/net10.0/Postwright.Simulation.dll simulate "$@"
