#!/usr/bin/env bash
# Plants the faults of this directory, one after the other, in a copy of the source (artifacts/mutate), and lets the simulator
# find them: run.sh [NAME ...]. One line for each: found after N seeds, or MISSED. Exit status 1 when one is missed, when the
# text that one replaces is not there exactly once any more, or when a world fails without a fault.
set -euo pipefail
cd "$(dirname "$0")/../.."
. build/packages.sh
need_dotnet
copy=$PWD/artifacts/mutate
tree=$copy/tree
mkdir -p "$tree"
if [ "${MUTATE_LOCKED:-}" != 1 ]; then
    # Not inherited: the compiler's server outlives the run.
    MUTATE_LOCKED=1 flock -n -o -E 75 "$copy/lock" tests/mutations/run.sh "$@" && exit
    status=$?
    [ $status -ne 75 ] || echo "mutate: another run is under way in $copy" >&2
    exit $status
fi

# What an earlier run has built stays; its sources go, so that no file remains that is gone here. Every file gets the time of
# now: what was built of a fault is older.
find "$tree" \( -name obj -o -name bin \) -prune -o -type f -print0 | xargs -0 -r rm -f
tar -c --exclude=obj --exclude=bin Directory.Build.props Directory.Packages.props .editorconfig BannedSymbols.txt global.json Postwright.slnx \
    src/Postwright.Protocol src/Postwright.Core src/Postwright.Server tests/Postwright.Testing tests/Postwright.Simulation | tar -xm -C "$tree"
fast=(-p:UseSharedCompilation=true -p:RunAnalyzers=false -p:EnforceCodeStyleInBuild=false -p:TreatWarningsAsErrors=false)
(cd "$tree" && dotnet build -c Release tests/Postwright.Simulation -v q -nologo "${fast[@]}" >"$copy/build.log" 2>&1) ||
    { echo "mutate: the tree does not build: $copy/build.log" >&2; exit 1; }

# The list is run by a copy of the program: the one in the tree is built anew for every fault.
rm -rf "$copy/runner"
cp -r "$tree/tests/Postwright.Simulation/bin/Release/net10.0" "$copy/runner"
exec dotnet "$copy/runner/Postwright.Simulation.dll" mutate --list tests/mutations --tree "$tree" "$@"
