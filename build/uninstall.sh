#!/usr/bin/env bash
# uninstall [DESTDIR]: as root, takes away what install put down, and moves another mail system's programs back. Configuration,
# queue, mailboxes, users and groups stay.
set -euo pipefail
destdir=${1:-}
destdir=${destdir%/}
[ "$(id -u)" -eq 0 ] || { echo "uninstall: this needs root: sudo ./build.sh uninstall" >&2; exit 1; }
lib=/usr/lib/postwright
manifest=$destdir$lib/manifest
[ -f "$manifest" ] || { echo "uninstall: nothing of Postwright is installed here ($manifest is missing)" >&2; exit 1; }
if [ -z "$destdir" ] && postfix status >/dev/null 2>&1; then
    postfix stop
fi
if [ -z "$destdir" ] && command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
    systemctl disable --quiet postwright 2>/dev/null || true
fi
while read -r path; do
    case "$path" in /usr/*) ;; *) continue ;; esac
    rm -f "$destdir$path"
    if [ -z "$destdir" ] && command -v dpkg-divert >/dev/null && [ "$(dpkg-divert --truename "$path")" = "$path.replaced-by-postwright" ]; then
        dpkg-divert --quiet --local --rename --remove "$path"
    fi
done <"$manifest"
rm -f "$manifest"
rmdir "$destdir$lib" 2>/dev/null || true
if [ -z "$destdir" ] && command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
echo "uninstalled. Configuration, queue and mail are still there."
