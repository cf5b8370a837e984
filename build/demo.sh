#!/usr/bin/env bash
# Starts a server on 127.0.0.1:2525 in a throw-away directory, sends a message through it, shows what became of it, and stays
# up until Ctrl-C. As root or not: everything runs in one process, as the user who calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
. build/packages.sh
need_dotnet
[ -x artifacts/sbin/postwright ] || build/publish.sh
sbin=$PWD/artifacts/sbin
port=${PORT:-2525}
user=$(id -un)
demo=$(mktemp -d /tmp/postwright-demo.XXXXXX)
# Root's mail is not delivered as root: as root, the mailbox belongs to nobody, who must get there.
chmod 711 "$demo"
uid=$(id -u) gid=$(id -g)
[ "$uid" -ne 0 ] || { uid=65534 gid=65534; }
server=
finish() {
    [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
    rm -rf "$demo"
}
trap finish EXIT
trap 'echo; echo "stopping"; exit 0' INT TERM

mkdir -p "$demo"/{etc,mail,data,queue}
[ "$(id -u)" -ne 0 ] || chown "$uid:$gid" "$demo/mail"
cat >"$demo/etc/main.cf" <<EOF
# The demonstration: mail for example.test ends in Maildirs below $demo/mail.
compatibility_level = 3.6
myhostname = demo.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mail_owner = $user
queue_directory = $demo/queue
data_directory = $demo/data
maillog_file = $demo/maillog
maillog_file_prefixes = $demo
alias_maps =
alias_database =
virtual_mailbox_domains = example.test
virtual_mailbox_base = $demo/mail
virtual_mailbox_maps = inline:{ {you@example.test = you/} }
virtual_uid_maps = static:$uid
virtual_gid_maps = static:$gid
virtual_minimum_uid = 1
delay_warning_time = 5m, 4h
EOF
sed "s/^smtp  *inet/127.0.0.1:$port inet/" dist/master.cf >"$demo/etc/master.cf"

"$sbin/postfix" -c "$demo/etc" check
"$sbin/postfix" -c "$demo/etc" start-fg &
server=$!
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 "$server" 2>/dev/null || { echo "demo: the server did not start" >&2; cat "$demo/maillog" >&2 2>/dev/null; exit 1; }
    sleep 0.1
done

say() { printf '\n\033[1m%s\033[0m\n' "$1"; }
say "A session with 127.0.0.1:$port"
exec 3<>"/dev/tcp/127.0.0.1/$port"
read -r -u 3 line && echo "S: $line"
talk() {
    echo "C: $1"
    printf '%s\r\n' "$1" >&3
    while read -r -t 30 -u 3 line; do
        echo "S: ${line%$'\r'}"
        case "$line" in [0-9][0-9][0-9]\ *) break ;; esac
    done
}
talk "EHLO client.example"
talk "MAIL FROM:<friend@example.org>"
talk "RCPT TO:<you@example.test>"
talk "DATA"
echo "C: Subject: Hello"
printf 'From: friend@example.org\r\nTo: you@example.test\r\nSubject: Hello\r\n\r\nThe first message through Postwright.\r\n' >&3
talk "."
talk "QUIT"
exec 3>&-
for _ in $(seq 100); do
    ls "$demo"/mail/you/new/* >/dev/null 2>&1 && grep -q ': removed' "$demo/maillog" && break
    sleep 0.1
done

say "The log ($demo/maillog)"
cat "$demo/maillog"
say "The queue: postqueue -c $demo/etc -p"
"$sbin/postqueue" -c "$demo/etc" -p
say "The mailbox: $demo/mail/you/new"
cat "$demo"/mail/you/new/* || { echo "demo: the message did not arrive" >&2; exit 1; }
say "Send more, for example"
cat <<EOF
swaks --server 127.0.0.1:$port --from friend@example.org --to you@example.test
$sbin/sendmail -C $demo/etc you@example.test < FILE
$sbin/postqueue -c $demo/etc -p

The server stays up; Ctrl-C stops it and removes $demo.
EOF
wait "$server"
