#!/usr/bin/env python3
"""The queue, and then the mailboxes, on an ext4 file system of their own (an image behind a loop device) that is really full.

The queue: filled by mail that waits, emptied by its delivery; filled by somebody else's file while mail flows, with a kill -9
of mail while it is full, and emptied again. New mail is told 452 4.3.1 and nothing else, deliveries go on, nothing acknowledged
is lost or repeated but by the kill, and mail is taken soon after room is there. The mailboxes: deliveries are deferred, and
arrive whole, once, when there is room.

fulldisk.py SBIN WORK. Exit status 77: no loop device can be mounted here, with the reason."""
import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

from instance import Instance, alive, send
from numbered import Load, arrivals
from verdict import Disturbance, judge

sbin, work = sys.argv[1], sys.argv[2]
seed = int(os.environ.get("POSTWRIGHT_SEED", random.randrange(1 << 30)))
chance = random.Random(seed)
# At MAIL FROM, and at the end of what was begun before.
FULL = {"452 4.3.1 Insufficient system storage", "452 4.3.1 Error: insufficient system storage"}
# From room on the disk to the first 250: the free space is looked at every second, and a segment may have to be made.
SOON = 30
# Far more than anything takes on a machine that has other work.
LIMIT = 180
# In the log, and in files of their own.
SIZES = (900, 60_000, 60_000, 300_000)
SETTINGS = """spool_segment_size = 4194304
queue_minfree = 0
message_size_limit = 1000000
"""


class NotHere(Exception):
    pass


class Disk:
    """An ext4 image on a directory."""

    def __init__(self, name, megabytes, place):
        self.place, self.cleared, self.filler = place, threading.Event(), None
        image = f"{work}/{name}.ext4"
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        for command in (["mkfs.ext4", "-q", "-F", "-m", "0", image], ["mount", "-o", "loop", image, place]):
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            except FileNotFoundError as missing:
                raise NotHere(missing) from missing
            if done.returncode != 0:
                raise NotHere(f"{' '.join(command)}: {done.stderr.strip()}")
        os.rmdir(f"{place}/lost+found")

    def fill(self):
        """Somebody else's file takes what is left."""
        with open(f"{self.place}/foreign", "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError as failure:
                    if failure.errno != errno.ENOSPC:
                        raise

    def fill_on(self):
        """And goes on taking what comes free."""
        def take():
            while not self.cleared.wait(0.02):
                self.fill()
        self.cleared.clear()
        self.filler = threading.Thread(target=take, daemon=True)
        self.filler.start()

    def clear(self):
        self.cleared.set()
        if self.filler:
            self.filler.join()
        os.remove(f"{self.place}/foreign")

    def unmount(self):
        subprocess.run(["umount", "-l", self.place], capture_output=True, timeout=60)


def until(condition, limit, what, failures):
    """The seconds until it held."""
    start = time.time()
    while not condition():
        if time.time() - start > limit:
            failures.append(f"not within {limit} s: {what}")
            break
        time.sleep(0.05)
    return round(time.time() - start, 1)


def refusals(load):
    with load.lock:
        return sum(load.refusals.values())


def full_queue(server, disk, failures, facts, disturbances):
    # Filled by mail that waits.
    server.set(defer_transports="virtual")
    server.start()
    load = Load(server.port, 8, chance, sizes=SIZES, pause=0.05).start()
    until(lambda: refusals(load) >= 20, LIMIT, "the queue fills the disk", failures)
    facts["taken until full"] = load.accepted
    if not load.refusals or set(load.refusals) - FULL:
        failures.append(f"on a full disk: {load.refusals}")
    # Its delivery makes room, while clients go on knocking.
    server.set(defer_transports="")
    server.run("postfix", "reload")
    server.run("postqueue", "-f")
    facts["taken again, deliveries having made room, seconds"] = round(load.until_accepted(LIMIT) or -1, 1)
    load.until_accepted(LIMIT)

    # Filled by somebody else, who takes every byte that comes free, while mail waits and more comes.
    until(lambda: server.queued() == 0, LIMIT, "the queue is empty again", failures)
    server.set(defer_transports="virtual")
    server.run("postfix", "reload")
    before, taken = refusals(load), load.accepted
    until(lambda: load.accepted >= taken + 100, LIMIT, "a hundred wait", failures)
    disk.fill_on()
    until(lambda: refusals(load) >= before + 20, LIMIT, "refusals on a disk that somebody else filled", failures)
    facts["waiting on the full disk"] = server.queued()
    mail = server.running()["mail"]
    began = time.time()
    send(mail, signal.SIGKILL)
    while alive(mail):
        time.sleep(0.01)
    disturbances.append(Disturbance(time.time(), "kill on the full disk", time.time() - began))
    server.running()
    answered = refusals(load) + load.accepted
    until(lambda: refusals(load) + load.accepted > answered + 20, LIMIT, "answers after the kill", failures)
    taken = load.accepted
    server.set(defer_transports="")
    server.run("postfix", "reload")
    server.run("postqueue", "-f")
    facts["delivered on the full disk, seconds"] = until(lambda: server.queued() == 0, LIMIT, "deliveries go on although the disk is full", failures)
    facts["taken on the full disk"] = load.accepted - taken
    disk.clear()
    back = load.until_accepted(LIMIT)
    facts["taken again, the file being gone, seconds"] = round(back or -1, 1)
    if back is None or back > SOON:
        failures.append(f"mail is taken after {back} s")
    load.stop()
    until(lambda: server.queued() == 0, LIMIT, "the queue is empty in the end", failures)
    if set(load.refusals) - FULL:
        failures.append(f"in all: {load.refusals}")
    return load


def full_mailboxes(server, disk, failures, facts):
    load = Load(server.port, 4, chance, sizes=SIZES, pause=0.02)
    disk.fill()
    load.start()
    until(lambda: load.accepted >= 100, LIMIT, "mail is taken whatever the mailboxes", failures)
    load.stop()
    until(lambda: server.log().count("No space left on device") >= 20, LIMIT, "deliveries find no room", failures)
    facts["waiting for the mailbox disk"] = server.queued()
    disk.clear()
    facts["delivered once there is room, seconds"] = until(lambda: server.queued() == 0, LIMIT, "the queue is empty", failures)
    if load.refusals:
        failures.append(f"refused for the mailboxes' sake: {load.refusals}")
    return load


def main():
    server = Instance(sbin, work, SETTINGS, chance=chance)
    failures, facts, disks, disturbances = [], {"seed": seed}, [], []
    load = None
    try:
        disks.append(Disk("queue", 64, f"{work}/queue"))
        load = full_queue(server, disks[0], failures, facts, disturbances)
        first = judge(load.messages, arrivals(server.inbox), disturbances, 2 * 20, server.pace)
        os.rename(f"{work}/mail/inbox", f"{work}/first")
        disks.append(Disk("mail", 128, f"{work}/mail"))
        os.chown(f"{work}/mail", 65534, 65534)
        load = full_mailboxes(server, disks[1], failures, facts)
        second = judge(load.messages, arrivals(server.inbox), [], 0, server.pace)
        left = os.listdir(f"{work}/mail/inbox/tmp")
        failures += [f"left in tmp: {left}"] if left else []
    except NotHere as reason:
        print(f"fulldisk: skipped: {reason}")
        sys.exit(77)
    finally:
        if load:
            load.over.set()
        server.end()
        for disk in disks:
            disk.unmount()
    for verdict in (first, second):
        failures += [*(f"lost: {one}" for one in verdict.lost), *(f"not whole: {one}" for one in verdict.broken),
                     *verdict.unexplained, *verdict.over_bound]
    failures += [word for word in ("status=bounced", "panic:", "fatal:") if word in server.log()]
    facts |= {"lost": len(first.lost) + len(second.lost), "duplicates": first.causes + second.causes}
    print(json.dumps(facts))
    if failures:
        print(*failures[:60], sep="\n", file=sys.stderr)
        print(*[line for line in server.log().splitlines() if " warning: " in line or " fatal: " in line][-20:], sep="\n", file=sys.stderr)
        sys.exit(1)


main()
