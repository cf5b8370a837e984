# Sourced by run.sh: making and asking tables with postmap, and look-ups through smtpd against the table's size.

entries=${TABLE_ENTRIES:-1000000}

# timed COMMAND...: seconds by the wall clock, and of CPU; the command's output goes nowhere.
timed() {
    local TIMEFORMAT='%R %U %S'
    { time "$@" >/dev/null 2>"$dir/errors" || echo "bench: $1 failed" >>"$work/tables.failed"; } 2>&1 | awk '{print $1, $2 + $3}'
}
ask() { "$1" -q - "$2" <"$dir/keys" || return 1; }

row_tables() {
    local dir=$work/tables round type system
    need postfix-lmdb postfix-pcre liblmdb0 || return 1
    mkdir -p "$dir/etc"
    export MAIL_CONFIG=$dir/etc
    echo "compatibility_level = 3.6" >"$dir/etc/main.cf"
    touch -d '1 day ago' "$dir/etc/main.cf"
    awk -v n="$entries" 'BEGIN {for (i = 0; i < n; i++) printf "user%d@example%d.com OK%d\n", i, i % 997, i}' >"$dir/postfix"
    cp "$dir/postfix" "$dir/postwright"
    awk '{print $1}' "$dir/postfix" | shuf --random-source="$dir/postfix" >"$dir/keys"
    for type in hash lmdb; do
        for round in $(seq "$rounds"); do
            timed /usr/sbin/postmap "$type:$dir/postfix" >>"$dir/build.$type.postfix"
            timed "$sbin/postmap" "$type:$dir/postwright" >>"$dir/build.$type.postwright"
            timed ask /usr/sbin/postmap "$type:$dir/postfix" >>"$dir/ask.$type.postfix"
            timed ask "$sbin/postmap" "$type:$dir/postwright" >>"$dir/ask.$type.postwright"
        done
        judge_times build "building $type with $entries entries" 1 "$type"
        judge_times ask "$entries look-ups by postmap -q - in $type" 2 "$type"
    done
    postconf_times
    unset MAIL_CONFIG
    [ -s "$work/tables.failed" ] && cat "$work/tables.failed"
    lookups cidr 100 1000 10000 100000
    lookups pcre 100 1000 10000
}

# judge_times WHAT TEXT NEEDED TYPE: how many times as fast as Postfix.
judge_times() {
    local theirs ours
    theirs=$(column "$dir/$1.$4.postfix" 1)
    ours=$(column "$dir/$1.$4.postwright" 1)
    judge tables "$2: $theirs s and $ours s" "$(calc "$theirs / $ours" %.2f)" ">= $3" "$theirs / $ours >= $3"
    theirs=$(column "$dir/$1.$4.postfix" 2)
    ours=$(column "$dir/$1.$4.postwright" 2)
    verdict tables "$2, CPU: $theirs s and $ours s" "$(calc "$theirs / $ours" %.2f)" - printed
}

# postconf -n of the two systems in turn, on a main.cf of some sixty lines.
postconf_times() {
    local i name theirs ours
    {
        echo "compatibility_level = 3.6"
        echo "mydestination = \$myhostname, localhost.\$mydomain, localhost"
        echo "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination"
        for i in $(seq 55); do echo "own_setting_$i = value $i"; done
        echo "smtpd_sender_restrictions = $(seq -f '$own_setting_%g' -s ' ' 55)"
    } >"$dir/etc/main.cf"
    touch -d '1 day ago' "$dir/etc/main.cf"
    : >"$dir/etc/master.cf"
    for i in $(seq "${POSTCONF_RUNS:-300}"); do
        timed_run "$dir/postconf.postfix" /usr/sbin/postconf -n
        timed_run "$dir/postconf.postwright" "$sbin/postconf" -n
    done
    theirs=$(column "$dir/postconf.postfix" 1)
    ours=$(column "$dir/postconf.postwright" 1)
    judge tables "postconf -n, milliseconds: $theirs and $ours" "$(calc "$ours / $theirs" %.2f)" "<= 1.2" "$ours / $theirs <= 1.2"
}

# timed_run FILE COMMAND...: adds its milliseconds by the wall clock.
timed_run() {
    local file=$1 begin=${EPOCHREALTIME/./} end
    shift
    "$@" >/dev/null 2>&1 || echo "bench: $* failed" >>"$work/tables.failed"
    end=${EPOCHREALTIME/./}
    calc "($end - $begin) / 1000" "%.3f\n" >>"$file"
}

# lookups TYPE SIZE...: what a look-up that finds nothing adds to a RCPT, in microseconds, for each size.
lookups() {
    local type=$1 size system none seconds count=${TABLE_RECIPIENTS:-2000}
    shift
    for system in postfix postwright; do
        none=
        for size in 0 "$@"; do
            write_table "$type" "$size" >"$dir/rules"
            seconds=$(recipients "$system" "$type" "$size")
            [ "$size" = 0 ] && { none=$seconds; continue; }
            verdict tables "$system: a look-up in $type with $size rules, in microseconds" "$(calc "($seconds - $none) / $count * 1e6" %.1f)" - printed
        done
    done
}

write_table() {
    case "$1" in
        cidr) awk -v n="$2" 'BEGIN {for (i = 0; i < n; i++) printf i % 10 ? "10.%d.%d.%d/32 REJECT\n" : "172.%d.%d.%d/32 REJECT\n", i / 65536, i / 256 % 256, i % 256}' ;;
        pcre) awk -v n="$2" 'BEGIN {for (i = 0; i < n; i++) printf "/^.*[0-9]@mx%d\\.spam%d\\.example$/ REJECT\n", i % 7, i}' ;;
    esac
}

# recipients SYSTEM TYPE SIZE: seconds for so many recipients, the best of three.
recipients() {
    local place=$dir/$1-$2-$3
    case "$2" in
        cidr) export TABLE_RESTRICTION="check_client_access cidr:$place/rules" ;;
        pcre) export TABLE_RESTRICTION="check_recipient_access pcre:$place/rules" ;;
    esac
    mkdir -p "$place"
    cp "$dir/rules" "$place/rules"
    start_system "$1" tables "$place" "$port" "$sink" >&2 || return 1
    python3 bench/recipients.py "$port" 100 >/dev/null
    for _ in 1 2 3; do python3 bench/recipients.py "$port" "$count"; done | sort -g | head -n 1
    stop_system "$1" "$place"
}
