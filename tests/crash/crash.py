#!/usr/bin/env python3
"""Load, kill -9 of any process at random moments, restart, and the count: accepted, arrived, lost, duplicates.

Every message carries an identity of its own in its body. A message counts as accepted when the client has read the 250
that follows the final dot. No message is sent twice, so a duplicate can only be a delivery that was under way, or whose
result was not yet on disk, at a kill. They are counted in all; that each has such a kill beside it is not checked."""
import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sbin, work, rounds, sessions = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
seed = int(os.environ.get("POSTWRIGHT_SEED", random.randrange(1 << 30)))
chance = random.Random(seed)
# Below the range from which the kernel gives ports to others between two runs of the server.
port = chance.randrange(32_100, 32_700)

os.makedirs(f"{work}/etc")
os.makedirs(f"{work}/mail")
shutil.chown(f"{work}/mail", "nobody")
with open(f"{work}/etc/main.cf", "w") as main:
    main.write(f"""compatibility_level = 3.6
myhostname = crash.example
mydestination =
virtual_mailbox_domains = example.net
virtual_mailbox_base = {work}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
virtual_mailbox_limit = 0
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = {work}/queue
data_directory = {work}/data
maillog_file = {work}/maillog
maillog_file_prefixes = {work}
alias_maps =
alias_database =
smtpd_client_connection_count_limit = 0
minimal_backoff_time = 1s
queue_run_delay = 1s
service_throttle_time = 1s
""")
with open(f"{work}/etc/master.cf", "w") as rows:
    rows.write(f"127.0.0.1:{port} inet n - n - - smtpd\n")
    for row in ("pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr",
                "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "error unix - - n - - error",
                "retry unix - - n - - error", "virtual unix - n n - - virtual", "local unix - n n - - local",
                "smtp unix - - n - - smtp", "relay unix - - n - - smtp", "discard unix - - n - - discard"):
        rows.write(row + "\n")


def postfix(*arguments):
    return subprocess.run([f"{sbin}/postfix", "-c", f"{work}/etc", *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    if int(stat.read().rsplit(")", 1)[1].split()[1]) == pid:
                        found.append(int(name))
            except (OSError, IndexError):
                pass
    return found


def master():
    try:
        with open(f"{work}/queue/pid/master.pid") as file:
            pid = int(file.read())
        os.kill(pid, 0)
        return pid
    except (OSError, ValueError):
        return None


accepted, unanswered, lock, stop = set(), set(), threading.Lock(), threading.Event()


def read_reply(lines):
    while True:
        line = lines.readline()
        if not line:
            raise ConnectionError
        if line[3:4] != b"-":
            return line


def client(number):
    sent = 0
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as link, link.makefile("rb") as lines:
                read_reply(lines)
                link.sendall(b"EHLO client.example\r\n")
                read_reply(lines)
                while not stop.is_set():
                    name = f"{number}-{sent}"
                    sent += 1
                    link.sendall(b"MAIL FROM:<from@example.org>\r\nRCPT TO:<to@example.net>\r\nDATA\r\n")
                    answers = [read_reply(lines) for _ in range(3)]
                    if not answers[2].startswith(b"354"):
                        time.sleep(0.05)
                        raise ConnectionError
                    link.sendall(f"Subject: crash\r\n\r\nID={name}=\r\n{'x' * 900}\r\n.\r\n".encode())
                    with lock:
                        unanswered.add(name)
                    answer = read_reply(lines)
                    with lock:
                        unanswered.discard(name)
                        if answer.startswith(b"250"):
                            accepted.add(name)
        except OSError:
            time.sleep(0.05)


started = postfix("start")
if started.returncode != 0:
    sys.exit(f"crash: start failed: {started.stderr}")
threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(sessions)]
for thread in threads:
    thread.start()

kills = {}
for number in range(rounds):
    time.sleep(chance.uniform(0.3, 1.5))
    pid = master()
    victims = [pid, *children(pid)] if pid else []
    if victims:
        victim = chance.choice(victims)
        try:
            with open(f"/proc/{victim}/cmdline", "rb") as file:
                words = file.read().decode().split("\0")
        except OSError:
            words = ["gone"]
        kind = next((word for word in words if word in ("mail", "agent", "master")), os.path.basename(words[0]))
        kills[kind] = kills.get(kind, 0) + 1
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if victim == pid:
            # Its children end when they see it gone; the next master waits for the spool's lock.
            deadline = time.time() + 60
            while time.time() < deadline and postfix("start").returncode != 0:
                time.sleep(0.2)
time.sleep(1)
stop.set()
for thread in threads:
    thread.join(60)

if master() is None:
    postfix("start")
deadline, waiting = time.time() + 180, "?"
while time.time() < deadline:
    listing = subprocess.run([f"{sbin}/postqueue", "-c", f"{work}/etc", "-j"], capture_output=True, text=True, timeout=60)
    waiting = len(listing.stdout.splitlines())
    if listing.returncode == 0 and waiting == 0:
        break
    time.sleep(0.5)

arrived = {}
for path in glob.glob(f"{work}/mail/inbox/new/*"):
    with open(path, errors="replace") as mail:
        found = re.search(r"ID=([0-9-]+)=", mail.read())
        if found:
            arrived[found.group(1)] = arrived.get(found.group(1), 0) + 1
postfix("stop")
lost = accepted - arrived.keys()
twice = {name: count for name, count in arrived.items() if count > 1}
print(json.dumps({"seed": seed, "kills": kills, "accepted": len(accepted), "arrived": len(arrived), "lost": len(lost),
                  "duplicates": sum(twice.values()) - len(twice), "still queued": waiting, "unanswered": len(unanswered)}))
if lost or waiting:
    print("lost:", sorted(lost)[:20])
    with open(f"{work}/maillog") as log:
        print("".join(log.readlines()[-40:]))
    sys.exit(1)
