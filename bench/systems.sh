# Sourced by run.sh: starts and stops the two systems on a private configuration each.

# write_configuration SYSTEM ROW DIR PORT SINK: main.cf, master.cf and the directories.
write_configuration() {
    local system=$1 row=$2 dir=$3 port=$4 sink=$5
    mkdir -p "$dir/etc" "$dir/queue" "$dir/data" "$dir/mail"
    chown nobody "$dir/mail"
    {
        cat <<EOF
compatibility_level = 3.6
myhostname = bench.example
mydestination =
relay_domains = example.net
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = $dir/queue
data_directory = $dir/data
maillog_file = $dir/maillog
maillog_file_prefixes = $dir
alias_maps =
alias_database =
local_recipient_maps =
smtpd_client_connection_count_limit = 0
message_size_limit = 20480000
EOF
        case "$row" in
            # Chosen by recipient: discarded, relayed, or for a destination that nothing answers at (DEAD_PORT).
            dead)
                echo "relay_domains = example.net, discard.example, dead.example"
                echo "transport_maps = inline:{{example.net=smtp:[127.0.0.1]:$sink}, {discard.example=discard:}, {dead.example=smtp:[127.0.0.1]:$DEAD_PORT}}"
                ;;
            tables) printf 'relay_transport = discard:\nsmtpd_recipient_restrictions = %s, permit_mynetworks, reject\n' "$TABLE_RESTRICTION" ;;
            discard | single | large | idle | latency) echo "relay_transport = discard:" ;;
            relay) echo "relay_transport = smtp:[127.0.0.1]:$sink" ;;
            maildir)
                cat <<EOF
virtual_mailbox_domains = example.net
relay_domains =
virtual_mailbox_base = $dir/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
virtual_mailbox_limit = 0
EOF
                ;;
        esac
        # Ten thousand clients one after the other: the time of their names' look-ups is not what is measured.
        [ "$row" = idle ] && echo "smtpd_peername_lookup = no"
        case "$system" in
            *-tuned)
                cat <<EOF
default_process_limit = 200
in_flow_delay = 0
default_destination_concurrency_limit = 100
initial_destination_concurrency = 100
EOF
                ;;
        esac
    } >"$dir/etc/main.cf"
    cat >"$dir/etc/master.cf" <<EOF
127.0.0.1:$port inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
EOF
}

# start_system SYSTEM ROW DIR PORT SINK: a running system in DIR, listening on PORT.
start_system() {
    local system=$1 dir=$3 port=$4
    running[$dir]="$system $dir"
    write_configuration "$@"
    case "$system" in
        postfix*)
            chown postfix "$dir/data"
            /usr/sbin/postfix -c "$dir/etc" start >/dev/null 2>"$dir/start.err" || { cat "$dir/start.err" >&2; return 1; }
            ;;
        postwright*)
            chown postfix "$dir/data"
            "$sbin/postfix" -c "$dir/etc" start >/dev/null 2>"$dir/start.err" || { cat "$dir/start.err" >&2; return 1; }
            ;;
    esac
    local try
    for try in $(seq 200); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
        sleep 0.1
    done
    echo "bench: $system does not listen on port $port:" >&2
    tail -n 20 "$dir/maillog" >&2
    return 1
}

stop_system() {
    local system=$1 dir=$2
    unset "running[$dir]"
    case "$system" in
        postfix*) /usr/sbin/postfix -c "$dir/etc" stop >/dev/null 2>&1 ;;
        postwright*) "$sbin/postfix" -c "$dir/etc" stop >/dev/null 2>&1 ;;
    esac
    local pid try
    pid=$(tr -d ' ' <"$dir/queue/pid/master.pid" 2>/dev/null)
    for try in $(seq 100); do
        [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null
    return 0
}
