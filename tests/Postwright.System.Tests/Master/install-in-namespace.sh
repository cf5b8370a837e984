#!/usr/bin/env bash
# Run by InstallTests below `unshare --mount --net --pid --fork --mount-proc`: installs over the machine's own /usr, /etc and
# /var as overlays that vanish with this process, starts what was installed, sends a mail, and takes everything away again.
set -euo pipefail
cd "$1"
scratch=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$scratch"
for folder in usr etc var; do
    mkdir -p "$scratch/$folder.upper" "$scratch/$folder.work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$scratch/$folder.upper,workdir=$scratch/$folder.work" "/$folder"
done
ip link set lo up 2>/dev/null || ifconfig lo up
rm -rf /etc/postfix /var/spool/postfix /var/lib/postfix /var/mail/* /etc/aliases /etc/aliases.db

if build/install.sh 2>"$scratch/refused"; then
    [ -e /usr/sbin/postconf.replaced-by-postwright ] && echo "replaced without being told to"
else
    grep -q 'is left as it is' "$scratch/refused" && echo "left alone"
fi
build/install.sh --replace >"$scratch/install" 2>&1 || { cat "$scratch/install"; exit 1; }
stat -c '%n %U:%G %a' /usr/sbin/postdrop /usr/sbin/postqueue /usr/sbin/postlog /var/spool/postfix /var/spool/postfix/maildrop /var/spool/postfix/public
readlink /usr/sbin/sendmail /usr/bin/mailq /usr/lib/sendmail
echo '# mine' >>/etc/postfix/main.cf
postconf -e 'maillog_file = /var/log/maillog' 'myhostname = installed.example.test' 'inet_interfaces = loopback-only'
postfix check
postfix start
printf 'Subject: installed\n\nIt works.\n' | su nobody -s /bin/sh -c '/usr/sbin/sendmail nobody'
for _ in $(seq 600); do grep -qs 'Subject: installed' /var/mail/nobody && break; sleep 0.1; done
grep 'Subject' /var/mail/nobody || { cat /var/log/maillog; exit 1; }
postfix status
build/install.sh --replace >/dev/null
grep -c '# mine' /etc/postfix/main.cf
build/uninstall.sh
[ -e /usr/sbin/postwright ] && echo "left behind: postwright"
[ -e /etc/postfix/main.cf ] && echo "configuration kept"
[ -f /usr/sbin/postconf ] && [ ! -L /usr/sbin/postconf ] && echo "the old postconf is back"
echo done
