# Sourced by run.sh: other mail servers beside both, from Debian's packages and from npm. Nothing is installed: packages are unpacked
# below artifacts/bench/others, and each server runs in mount and process namespaces of its own, with a private /etc, /var/spool,
# /var/lib, /run and /usr/libexec. A server that cannot be had (no network) or does not start is named as such.
#
# Per server: replies to the final dot a second (accepted), messages at the sink a second until the last one (relayed), and how many syncs
# strace saw between 354 and the 250 of a message that came alone.

others=$PWD/artifacts/bench/others
others_log() { echo "others    $*"; }

# unpack NAME PACKAGE...: into $others/NAME, once.
unpack() {
    local name=$1
    shift
    [ -e "$others/$name/.done" ] && return 0
    rm -rf "${others:?}/$name"
    mkdir -p "$others/$name" "$others/packages"
    (cd "$others/packages" && { apt-get download "$@" || { apt-get update && apt-get download "$@"; }; }) >"$work/others.log" 2>&1 || return 1
    local package
    for package in "$@"; do
        dpkg -x "$(ls "$others/packages/${package}"_*.deb | tail -n 1)" "$others/$name" || return 1
    done
    touch "$others/$name/.done"
}

# confine NAME DIR COMMAND...: runs a server with DIR/{etc,spool,lib,run} in place of the machine's, and NAME's /usr/libexec.
confine() {
    local name=$1 dir=$2 libexec=$others/$1/usr/libexec
    shift 2
    [ -d "$libexec" ] || libexec=/usr/libexec
    unshare --mount --pid --fork --kill-child=KILL --mount-proc sh -c '
        dir=$1 libexec=$2; shift 2
        mount --bind "$dir/etc" /etc && mount --bind "$dir/spool" /var/spool && mount --bind "$dir/lib" /var/lib &&
            mount --bind "$dir/run" /run && mount --bind "$libexec" /usr/libexec || exit 1
        "$@" & wait' confine "$dir" "$libexec" "$@" >"$dir/output" 2>&1 &
    helper=$!
    # unshare passes no other signal on.
    helpers[$helper]=KILL
}

private_directories() {
    local dir=$1
    mkdir -p "$dir"/{spool,lib,run}
    cp -a /etc "$dir/etc"
    # A name server that refuses at once: the time of look-ups is not what is measured.
    printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$dir/etc/resolv.conf"
    # sendmail waits a minute for a name with a dot in it.
    echo "127.0.0.1 bench.example $(hostname) localhost" >"$dir/etc/hosts"
    # The users that the packages would make; the numbers are used inside the namespace only.
    cat >>"$dir/etc/passwd" <<'END'
Debian-exim:x:64001:64001::/var/spool/exim4:/usr/sbin/nologin
opensmtpd:x:64002:64002::/var/lib/opensmtpd/empty:/usr/sbin/nologin
opensmtpq:x:64003:64003::/var/lib/opensmtpd/empty:/usr/sbin/nologin
smmta:x:64004:64004::/var/lib/sendmail:/usr/sbin/nologin
smmsp:x:64005:64005::/var/lib/sendmail:/usr/sbin/nologin
END
    printf '%s:x:%s:\n' Debian-exim 64001 opensmtpd 64002 opensmtpq 64003 smmta 64004 smmsp 64005 >>"$dir/etc/group"
}

begin_exim() { # DIR queue|deliver
    local dir=$1 program=$others/exim/usr/sbin/exim4 queue_only=false
    [ "$2" = queue ] && queue_only=true
    unpack exim exim4-daemon-light exim4-base || return 1
    mkdir -p "$dir/spool/exim4" "$dir/etc/exim4"
    chown 64001:64001 "$dir/spool/exim4"
    cat >"$dir/etc/exim4/exim4.conf" <<END
primary_hostname = bench.example
exim_path = $program
local_interfaces = 127.0.0.1
daemon_smtp_ports = $port
disable_ipv6 = true
spool_directory = /var/spool/exim4
log_file_path = /var/spool/exim4/%slog
host_lookup =
rfc1413_hosts =
tls_advertise_hosts =
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 200
queue_only = $queue_only
acl_smtp_rcpt = take
keep_environment =
begin acl
take:
  accept
begin routers
sink:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = sink
begin transports
sink:
  driver = smtp
  port = $sink
  allow_localhost = true
begin retry
* * F,2h,5m
END
    confine exim "$dir" "$program" -bdf
}

# It has no queue-only mode: "queue" is accepting while nothing answers at the sink.
begin_opensmtpd() { # DIR
    local dir=$1
    unpack opensmtpd opensmtpd libevent-2.1-7 || return 1
    mkdir -p "$dir/lib/opensmtpd/empty" "$dir/spool/smtpd"
    chmod 711 "$dir/spool/smtpd"
    cat >"$dir/etc/smtpd.conf" <<END
queue ttl 1d
smtp limit max-mails 1000000
listen on 127.0.0.1 port $port hostname bench.example
action "sink" relay host "smtp://127.0.0.1:$sink"
match from any for any action "sink"
END
    confine opensmtpd "$dir" env LD_LIBRARY_PATH="$others/opensmtpd/usr/lib/x86_64-linux-gnu" "$others/opensmtpd/usr/sbin/smtpd" -F -f /etc/smtpd.conf
}

begin_sendmail() { # DIR queue|deliver
    local dir=$1 root=$others/sendmail mode=b program
    [ "$2" = queue ] && mode=q
    unpack sendmail sendmail-bin sendmail-base sendmail-cf m4 libsigsegv2 liblockfile1 libwrap0 libldap-2.5-0 || return 1
    program=$root/usr/libexec/sendmail/sendmail
    mkdir -p "$dir/etc/mail" "$dir/spool/mqueue" "$dir/run/sendmail/mta"
    chmod 755 "$dir/etc/mail"
    chmod 700 "$dir/spool/mqueue"
    echo bench.example >"$dir/etc/mail/local-host-names"
    cat >"$dir/bench.mc" <<END
include(\`$root/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(\`linux')dnl
define(\`confDOMAIN_NAME', \`bench.example')dnl
define(\`QUEUE_DIR', \`/var/spool/mqueue')dnl
define(\`STATUS_FILE', \`/var/spool/mqueue/statistics')dnl
define(\`confPID_FILE', \`/run/sendmail.pid')dnl
define(\`confDELIVERY_MODE', \`$mode')dnl
define(\`confQUEUE_LA', \`10000')dnl
define(\`confREFUSE_LA', \`10000')dnl
define(\`confDELAY_LA', \`0')dnl
define(\`confMAX_DAEMON_CHILDREN', \`0')dnl
define(\`confTO_IDENT', \`0')dnl
define(\`confCACERT_PATH', \`')dnl
define(\`SMART_HOST', \`relay:[127.0.0.1]')dnl
define(\`RELAY_MAILER_ARGS', \`TCP \$h $sink')dnl
FEATURE(\`accept_unresolvable_domains')dnl
FEATURE(\`accept_unqualified_senders')dnl
FEATURE(\`nocanonify')dnl
FEATURE(\`promiscuous_relay')dnl
FEATURE(\`no_default_msa')dnl
DAEMON_OPTIONS(\`Name=MTA, Addr=127.0.0.1, Port=$port')dnl
MAILER(\`smtp')dnl
END
    (cd "$root/usr/share/sendmail/cf/cf" && LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/m4" -D_CF_DIR_="$root/usr/share/sendmail/cf/" "$dir/bench.mc") \
        >"$dir/etc/mail/sendmail.cf" 2>"$dir/m4.err" || return 1
    confine sendmail "$dir" env LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu" "$program" -bD -C/etc/mail/sendmail.cf
}

begin_haraka() { # DIR
    local dir=$1 haraka=$others/haraka
    command -v npm >/dev/null && command -v node >/dev/null || { echo "no npm here" >"$work/others.log"; return 1; }
    [ -e "$haraka/.done" ] || {
        mkdir -p "$haraka"
        (cd "$haraka" && timeout 120 npm install --no-audit --no-fund --omit=dev --ignore-scripts Haraka@3) >"$work/others.log" 2>&1 || return 1
        touch "$haraka/.done"
    }
    mkdir -p "$dir/haraka/config" "$dir/haraka/plugins" "$dir/haraka/queue"
    printf 'listen=127.0.0.1:%s\nnodes=cpus\n' "$port" >"$dir/haraka/config/smtp.ini"
    printf 'level=warn\n' >"$dir/haraka/config/log.ini"
    cp "$haraka/node_modules/Haraka/config/connection.ini" "$dir/haraka/config/"
    printf 'concurrency_max=100\n' >"$dir/haraka/config/outbound.ini"
    echo bench.example >"$dir/haraka/config/me"
    echo sink >"$dir/haraka/config/plugins"
    cat >"$dir/haraka/plugins/sink.js" <<END
exports.hook_rcpt = (next, connection) => { connection.relaying = true; next(OK) }
exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: '127.0.0.1', port: $sink })
END
    confine haraka "$dir" node "$haraka/node_modules/Haraka/bin/haraka" -c "$dir/haraka"
}

listens() {
    local try
    for try in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
        sleep 0.1
    done
    return 1
}

# syncs_before_reply PID: how many syncs strace sees between 354 and the next 250 of a message that comes alone.
syncs_before_reply() {
    local pids=() each tracer
    for each in $(python3 bench/measure.py pids "$1"); do pids+=(-p "$each"); done
    strace -f -qq -s 64 -e trace=fsync,fdatasync,sync_file_range,syncfs,msync,write,writev,sendto,sendmsg -o "$work/others.strace" "${pids[@]}" 2>/dev/null &
    tracer=$!
    helpers[$tracer]=INT
    sleep 1
    load single 1 "$port" >/dev/null 2>&1
    sleep 0.3
    stop_helper "$tracer"
    awk '/"354/ {content = 1; next}
        content && / (fsync|fdatasync|sync_file_range|syncfs|msync)\(/ {syncs++}
        content && /"250/ {print syncs + 0; found = 1; exit}
        END {if (!found) print "?"}' "$work/others.strace"
}

# count_arrivals COUNT: a sink that ends after so many messages, its number in $sinkpid.
count_arrivals() {
    "$tools/receive" "$sink" "$1" >"$work/others.done" &
    sinkpid=$!
    helpers[$sinkpid]=TERM
}

# other NAME MODE COUNT: starts it, measures, prints a line.
other() {
    local name=$1 mode=$2 count=$3 dir=$work/other-$1-$2 server sinkpid= begun accepted ended got relayed=- syncs
    private_directories "$dir"
    "begin_$name" "$dir" "$mode" || { verdict others "$name" "-" - "not measured"; others_log "$name: it cannot be had: $(tail -n 1 "$work/others.log")"; return; }
    server=$helper
    listens || { verdict others "$name ($mode)" "-" - "not measured"; others_log "$name ($mode): it does not start: $(tail -n 2 "$dir/output" | tr '\n' ' ')"; stop_helper "$server"; return; }
    # Twenty to warm up and one under strace; where they are relayed, all have arrived before anything is counted.
    if [ "$mode" = deliver ]; then count_arrivals 21; fi
    load discard 20 "$port" >/dev/null 2>&1 || others_log "$name: the warm-up failed"
    sleep 5
    syncs=$(syncs_before_reply "$server")
    if [ "$mode" = deliver ]; then
        timeout 60 tail --pid="$sinkpid" -f /dev/null
        stop_helper "$sinkpid"
        count_arrivals "$count"
        sleep 0.2
    fi
    begun=$EPOCHREALTIME
    timeout 120 smtp-source -d -s 100 -m "$count" -l 1000 -f from@example.org -t to@example.net "127.0.0.1:$port" >/dev/null 2>"$work/others.err" \
        || { verdict others "$name ($mode)" "-" - "not measured"; others_log "$name ($mode): the load failed: $(tail -n 1 "$work/others.err")"; stop_everything; return; }
    accepted=$EPOCHREALTIME
    if [ "$mode" = deliver ]; then
        timeout 60 tail --pid="$sinkpid" -f /dev/null
        stop_helper "$sinkpid"
        read -r ended got <"$work/others.done"
        relayed=0
        [ "${got:-0}" -gt 0 ] && relayed=$(calc "$got / ($ended - $begun)" %.0f)
        [ "${got:-0}" -eq "$count" ] || relayed="$relayed (${got:-0} in 60 s)"
    fi
    accepted=$(calc "$count / ($accepted - $begun)" %.0f)
    verdict others "$name: $([ "$mode" = deliver ] && echo "accepted, relayed" || echo "accepted, queue only")/s; $syncs syncs before 250" "$accepted, $relayed" - printed
    stop_helper "$server"
}

row_others() {
    local count=${OTHERS_MESSAGES:-2000}
    other exim queue "$count"
    other exim deliver $((count / 10))
    other opensmtpd queue "$count"
    other opensmtpd deliver $((count / 4))
    other sendmail queue $((count / 2))
    other sendmail deliver $((count / 10))
    other haraka deliver "$count"
}
