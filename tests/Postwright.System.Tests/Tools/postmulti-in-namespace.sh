#!/usr/bin/env bash
# Run by PostmultiTests below `unshare --mount --pid --fork --mount-proc`: postmulti over an /etc/postfix of its own, which
# vanishes with this process. SBIN holds the programs, Postfix's or ours; what is printed must be the same.
set -u
scratch=$1
sbin=$2
export PATH=$sbin:$PATH TERM=dumb
unset MAIL_CONFIG
mount --make-rprivate /
mount -t tmpfs tmpfs "$scratch"
mkdir -p "$scratch/etc" "$scratch/work" "$scratch/new"
# Everything that is made beside /etc/postfix goes to the scratch too.
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$scratch/etc,workdir=$scratch/work" /etc
mount -t tmpfs tmpfs /var/spool
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/spool/postfix /var/lib/postfix
chown postfix /var/lib/postfix
rm -f /etc/postfix/main.cf* /etc/postfix/master.cf*
cat >/etc/postfix/main.cf.proto <<EOF
# a prototype
compatibility_level = 3.6
command_directory = /somewhere
mail_owner = postfix
#html_directory = no
sample_directory = /nowhere
data_directory = /var/lib/postfix
maillog_file = /var/log/instances.log
inet_interfaces = loopback-only
EOF
grep -v 'sample\|#\|somewhere' /etc/postfix/main.cf.proto >/etc/postfix/main.cf
cat >>/etc/postfix/main.cf <<EOF
command_directory = $sbin
queue_directory = /var/spool/postfix
meta_directory = /etc/postfix
EOF
cp /etc/postfix/main.cf /etc/postfix/before
echo 'smtp inet n - n - - smtpd' >/etc/postfix/master.cf.proto
cp /etc/postfix/master.cf.proto /etc/postfix/master.cf
: >/var/log/instances.log

# Postfix's postmulti tells errors to a terminal alone.
t() {
    echo "\$ $*"
    script -qec "$*" /dev/null </dev/null | tr -d '\r' | sed "s|$sbin|SBIN|g"
    [ "${PIPESTATUS[0]}" = 0 ] || echo "status ${PIPESTATUS[0]}"
}

# None of these changes anything, so they run at the same time.
count=0
while read -r line; do
    count=$((count + 1))
    t "$line" >"$scratch/new/$(printf %03d $count)" 2>&1 &
done <<'EOF'
postmulti
postmulti -l x
postmulti -e bogus
postmulti -e create
postmulti -x
postmulti -p
postmulti -R -p status
postmulti -R -e init
postmulti -l -i nosuch
postmulti -l -g nosuch
postmulti -e enable
postmulti -e assign -i -
postmulti -I postfix-x -l
postmulti -e assign -i - -G 'a b'
postmulti -e assign -i - -I foo
postmulti -e assign -i - -I postfix-a/b
postmulti -e assign -i - -I 'postfix-a b'
postmulti -e enable -i - -I x
postmulti -e enable -i nosuch
postmulti -e destroy -i -
postmulti -e deport -i -
postmulti -e create a=b
postmulti -e import -I postfix-x queue_directory=/x
postmulti -e create -I postfix-x config_directory
postmulti -e create -I postfix-x config_directory=rel
postmulti -e create -I postfix-x config_directory=/
postmulti -e create -I postfix-x queue_directory=/var/spool/postfix
postmulti -e create -I postfix-x -g zzz
postmulti -e import -I postfix-nodir
postmulti -e assign -i - -G g a=b
postmulti -e enable -i - a=b
postmulti -x nosuchprogram
postmulti -x false
postmulti -l -l -x -p
postmulti -g a -i b -l
postmulti -a -g a -l
postmulti -G a -G b -e assign
postmulti -I a -I b -e assign
postmulti -l
postmulti -l -i -
postmulti -l -i /etc/postfix
postmulti -lR
postmulti -x -i nosuch true
postmulti -e create -I postfix-out -G mta
MAIL_CONFIG=/tmp postmulti -l
MAIL_CONFIG=/etc/postfix postmulti -l
EOF
wait
cat "$scratch"/new/*
diff /etc/postfix/before /etc/postfix/main.cf

t postmulti -e init
diff /etc/postfix/before /etc/postfix/main.cf | grep "^[<>]" | sort
t postmulti -e create -I postfix-out -G mta
# Postfix adds what is new in no order.
sed "s|$sbin|SBIN|g" /etc/postfix-out/main.cf | sort
diff /etc/postfix-out/master.cf /etc/postfix/master.cf.proto
stat -c '%n %U:%G %a' /etc/postfix-out /var/spool/postfix-out /var/spool/postfix-out/maildrop /var/spool/postfix-out/public
stat -c '%n %U %a' /var/lib/postfix-out
t postmulti -e create -I postfix-in -G mta -i postfix-out config_directory=/etc/postfix-in2
t postmulti -e create -g mta -I postfix-second -G zz
t postmulti -e create -I postfix-out
t postmulti -lR
t postmulti -l -g mta
t postmulti -l -i postfix-in
t postmulti -e enable -i postfix-out
t postmulti -e enable -i postfix-in
t postmulti -e assign -i postfix-in -I postfix-in9 -G -
t postmulti -l
t postmulti -e assign -i postfix-in9 -I -
t postmulti -e assign -i /etc/postfix-in2 -I postfix-out
t postmulti -l
t postmulti -x sh -c "'echo \$MAIL_CONFIG \$MAIL_LOGTAG \$config_directory \$queue_directory \$data_directory \$command_directory n=\$multi_instance_name g=\$multi_instance_group e=\$multi_instance_enable'"
t postmulti -i postfix-out -p status
t postfix status
t postfix stop
t postmulti -e destroy -i postfix-out
t postmulti -e disable -i postfix-out
t postmulti -e destroy -i postfix-out
ls -d /etc/postfix-out /var/spool/postfix-out /var/lib/postfix-out 2>&1
t postmulti -e deport -i postfix-second
t postmulti -l
diff /etc/postfix/before /etc/postfix/main.cf | grep "^[<>]" | sort
t postmulti -e import -a -I postfix-second
touch /etc/postfix-second/mine /var/spool/postfix-second/mine
t postmulti -e destroy -i postfix-second
ls /etc/postfix-second /var/spool/postfix-second
diff /etc/postfix/before /etc/postfix/main.cf | grep "^[<>]" | sort
rm /etc/postfix-in2/main.cf
t postmulti -l
