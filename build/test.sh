#!/usr/bin/env bash
# Runs every test project, one after the other, each bounded in time. A project that ends without a result has failed.
# ./build.sh test [NAME ...] runs only the projects whose names contain one of NAME.
set -uo pipefail
cd "$(dirname "$0")/.."
. build/packages.sh
need_dotnet || exit 1
need clang gcc zlib1g-dev libc6-dev libpcre2-8-0 libdb5.3 liblmdb0 postfix postfix-cdb postfix-lmdb postfix-pcre swaks s-nail bsd-mailx msmtp python3 strace iproute2 procps e2fsprogs mount || exit 1
# Servers of the lookup tables, started by the tests on loopback, and Postfix's own clients of them for comparison.
need postgresql mariadb-server slapd redis-server memcached sqlite3 openssl postfix-sqlite postfix-pgsql postfix-mysql postfix-ldap || exit 1
build/publish.sh || exit 1
dotnet build Postwright.slnx -c Release -v q --nologo || exit 1

export POSTWRIGHT_SBIN=$PWD/artifacts/sbin
passed=0 failed=0 skipped=0
for project in tests/*.Tests/ tests/Postwright.Simulation/; do
    name=$(basename "$project")
    if [ $# -gt 0 ]; then
        wanted=
        for part in "$@"; do case "$name" in *"$part"*) wanted=1 ;; esac; done
        [ -n "$wanted" ] || continue
    fi
    log=artifacts/test-$name.log
    echo "== $name"
    timeout --kill-after=30 900 dotnet "$project/bin/Release/net10.0/$name.dll" -noColor -noLogo -longRunning 60 >"$log" 2>&1 </dev/null
    status=$?
    grep -E '\[(FAIL|SKIP|LONG RUNNING TEST)' "$log"
    summary=$(grep -E 'Total: [0-9]+, Errors: [0-9]+, Failed: [0-9]+, Skipped: [0-9]+' "$log" | tail -n 1)
    if [ -z "$summary" ]; then
        echo "$name: ended without a result (exit status $status)"
        tail -n 40 "$log"
        failed=$((failed + 1))
        continue
    fi
    number() { echo "$summary" | grep -oE "$1: [0-9]+" | grep -oE '[0-9]+'; }
    bad=$(($(number Failed) + $(number Errors)))
    [ "$bad" -eq 0 ] && [ "$status" -ne 0 ] && bad=1
    [ "$bad" -gt 0 ] && grep -A 25 -E '\[FAIL\]' "$log"
    failed=$((failed + bad))
    skipped=$((skipped + $(number Skipped)))
    passed=$((passed + $(number Total) - $(number Failed) - $(number Skipped)))
    echo "   $summary"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
