#!/usr/bin/env bash
# Types docs/tutorial.md on a machine of its own: namespaces for mounts, processes, network and name, with /etc, /usr, /var,
# /root and /home laid over by memory, so that nothing of it is left. Needs root.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" -eq 0 ] || { echo "tutorial: needs root, to make namespaces" >&2; exit 1; }
[ -x artifacts/sbin/postwright ] || build/publish.sh
exec unshare --mount --uts --net --ipc --pid --fork --mount-proc --propagation private bash -euo pipefail -c '
    layers=$(mktemp -d)
    mount -t tmpfs tmpfs "$layers"
    for folder in etc usr var root home; do
        mkdir "$layers/$folder" "$layers/$folder.work"
        mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$layers/$folder,workdir=$layers/$folder.work" "/$folder"
    done
    hostname www.centos.vbird
    ip link set lo up
    ip address add 192.168.100.254/24 dev lo
    for user in dmtsai vbird std001 std002 std003; do useradd --create-home "$user" 2>/dev/null || true; done
    rm -rf /var/mail/* /etc/postfix/* /etc/aliases* /var/spool/postfix/* /var/lib/postfix/*
    build/install.sh --replace
    hash -r
    status=0
    python3 tests/tutorial/type.py docs/tutorial.md || status=$?
    if [ "$status" -ne 0 ]; then tail -n 40 /var/log/mail.log /var/log/maillog 2>/dev/null || true; fi
    postfix stop >/dev/null 2>&1 || true
    build/uninstall.sh
    exit "$status"
'
