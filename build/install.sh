#!/usr/bin/env bash
# install [--replace] [DESTDIR]: as root, puts the published programs, their links, users, groups, directories, an example
# configuration and a systemd unit in place. Nothing that exists in the configuration is overwritten. Another mail system's
# files are left alone, and so is the machine then, unless --replace moves them aside (dpkg-divert); uninstall moves them back.
set -euo pipefail
cd "$(dirname "$0")/.."
replace= destdir=
for argument in "$@"; do
    case "$argument" in
        --replace) replace=1 ;;
        -*) echo "install: no such option: $argument" >&2; exit 64 ;;
        *) destdir=${argument%/} ;;
    esac
done
[ "$(id -u)" -eq 0 ] || { echo "install: this needs root: sudo ./build.sh install" >&2; exit 1; }
. build/packages.sh
[ -x artifacts/sbin/postwright ] || build/publish.sh
[ -n "$destdir" ] || need libdb5.3 libpcre2-8-0

sbin=/usr/sbin lib=/usr/lib/postwright config=/etc/postfix unit=/usr/lib/systemd/system/postwright.service
manifest=$destdir$lib/manifest
set_gid="postdrop postqueue postlog"

# Every path that is put down: program or link, one a line, with what it is.
plan() {
    local program name
    echo "$sbin/postwright file"
    for program in artifacts/sbin/*; do
        name=$(basename "$program")
        [ "$name" = postwright ] && continue
        case "$name" in mailq | newaliases) continue ;; esac
        if [ -L "$program" ]; then echo "$sbin/$name link postwright"; else echo "$sbin/$name setgid"; fi
    done
    echo "/usr/bin/mailq link ../sbin/sendmail"
    echo "/usr/bin/newaliases link ../sbin/sendmail"
    echo "/usr/lib/sendmail link ../sbin/sendmail"
}

owner_of() { dpkg-query -S "$1" 2>/dev/null | grep -v '^diversion' | cut -d: -f1 | head -1; }

# Files of another package in our places: named, or moved aside.
if [ -z "$destdir" ] && command -v dpkg-query >/dev/null; then
    foreign=()
    while read -r path _; do
        [ -e "$path" ] || [ -L "$path" ] || continue
        dpkg-divert --list "$path" | grep -q . && continue
        [ -n "$(owner_of "$path")" ] && foreign+=("$path")
    done < <(plan)
    if [ ${#foreign[@]} -gt 0 ] && [ -z "$replace" ]; then
        echo "install: another mail system is installed ($(owner_of "${foreign[0]}")); it is left as it is." >&2
        echo "install: ./build.sh install --replace moves its programs aside, and uninstall moves them back: ${foreign[*]}" >&2
        exit 1
    fi
    for path in "${foreign[@]}"; do
        dpkg-divert --quiet --local --rename --divert "$path.replaced-by-postwright" --add "$path"
    done
fi

if [ -z "$destdir" ]; then
    getent group postfix >/dev/null || groupadd --system postfix
    getent group postdrop >/dev/null || groupadd --system postdrop
    getent passwd postfix >/dev/null ||
        useradd --system --gid postfix --home-dir /var/spool/postfix --no-create-home --shell /usr/sbin/nologin postfix
fi

mkdir -p "$destdir$sbin" "$destdir/usr/bin" "$destdir$lib" "$destdir$config" "$destdir$(dirname $unit)" "$destdir/var/lib"
: >"$manifest.new"
while read -r path kind target; do
    name=$(basename "$path")
    case "$kind" in
        link) ln -sfn "$target" "$destdir$path" ;;
        file | setgid)
            # A new file beside the old one, then renamed: a running program keeps the one it has.
            install -m 755 "artifacts/sbin/$name" "$destdir$path.new"
            if [ "$kind" = setgid ] && getent group postdrop >/dev/null; then
                chgrp postdrop "$destdir$path.new"
                chmod 2755 "$destdir$path.new"
            fi
            mv -f "$destdir$path.new" "$destdir$path"
            ;;
    esac
    echo "$path" >>"$manifest.new"
done < <(plan)

install -m 644 dist/postwright.service "$destdir$unit"
echo "$unit" >>"$manifest.new"
mv "$manifest.new" "$manifest"

for file in main.cf master.cf; do
    # What postmulti makes further instances of.
    install -m 644 "dist/$file" "$destdir$config/$file.proto"
    [ -e "$destdir$config/$file" ] || install -m 644 "dist/$file" "$destdir$config/$file"
done
[ -e "$destdir/etc/aliases" ] || install -m 644 dist/aliases "$destdir/etc/aliases"

if [ -n "$destdir" ]; then
    echo "installed below $destdir. On the machine itself: make the user and group postfix and the group postdrop, then run: postfix set-permissions"
    exit 0
fi
postfix set-permissions
[ -e /etc/aliases.db ] || newaliases || echo "install: newaliases failed; run it again" >&2
if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
echo "installed. Look at $config/main.cf, then: postfix check && postfix start (or: systemctl enable --now postwright)"
