#!/usr/bin/env bash
# Publishes NativeAOT programs into artifacts/sbin: postwright, a link to it under every command's name, and each
# set-gid program as a file of its own. A trim or AOT warning is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
. build/packages.sh
need_dotnet
need clang gcc zlib1g-dev libc6-dev
sbin=artifacts/sbin
mkdir -p "$sbin"

publish() { # project, program
    dotnet publish "src/$1/$1.csproj" -c Release -r linux-x64 -o "artifacts/publish/$1" -v q --nologo \
        -p:TreatWarningsAsErrors=true -p:IlcTreatWarningsAsErrors=true >"artifacts/publish-$1.log" 2>&1 || {
        cat "artifacts/publish-$1.log" >&2
        return 1
    }
    install -m 755 "artifacts/publish/$1/$2" "$sbin/.$2.new"
    mv -f "$sbin/.$2.new" "$sbin/$2"
}

publish Postwright postwright
set_gid=()
for project in src/Postwright.SetGid.*/; do
    [ -d "$project" ] || continue
    name=$(basename "$project")
    program=$(echo "${name##*.}" | tr '[:upper:]' '[:lower:]')
    publish "$name" "$program"
    set_gid+=("$program")
done
for command in $("$sbin/postwright" --commands); do
    case " ${set_gid[*]} " in *" $command "*) continue ;; esac
    ln -sfn postwright "$sbin/$command"
done
echo "artifacts/sbin: $(ls "$sbin" | tr '\n' ' ')"
