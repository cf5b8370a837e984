#!/usr/bin/env python3
"""72 hours of mail (2,000 messages an hour, a reload every 25 minutes) in an hour, or a part of it in less: load of all kinds, an
administrator at work, kills in the first quarter, and samples of what master, mail and agent use. The verdict: flat over the second
half, nothing lost, the queue drains, the space is won back.

soak.py SBIN WORK MINUTES [CSV]"""
import csv
import json
import os
import random
import signal
import sys
import threading
import time

import gauge
from instance import Instance, send
from remote import Remote
from traffic import MEMBERS, Ledger, Traffic

sbin, work, minutes = sys.argv[1], sys.argv[2], float(sys.argv[3])
if minutes < 2:
    sys.exit("soak: less than two minutes give too few samples for a verdict")
seed = int(os.environ.get("POSTWRIGHT_SEED", random.randrange(1 << 30)))
chance = random.Random(seed)
SEGMENT = 4 << 20
# Messages a second over all clients: busy, and far from the machine's limit, so that other work does not show.
RATE = float(os.environ.get("POSTWRIGHT_SOAK_RATE", 40))
EVERY = 5
# What an empty queue may keep: the segment that is written, one that is ready, the free ones and the index; and files of large
# contents for the next ones.
KEPT_LOG, KEPT_CONTENTS, KEPT_CONTENT_BYTES = 6 * SEGMENT, 32, 64 << 20
# Mail that nobody takes is returned after half a minute, its notice given up after another.
SETTINGS = f"""mydestination = outside.example
alias_maps = hash:$config_directory/aliases
virtual_alias_domains = alias.example
virtual_alias_maps = hash:$config_directory/virtual
transport_maps = hash:$config_directory/transport
local_recipient_maps =
spool_segment_size = {SEGMENT}
minimal_backoff_time = 2s
maximal_backoff_time = 8s
queue_run_delay = 2s
maximal_queue_lifetime = 30s
bounce_queue_lifetime = 30s
smtp_tls_security_level = none
smtp_connect_timeout = 5s
transport_retry_time = 2s
service_throttle_time = 1s
"""


class Administrator:
    """Does something every second or so: reload (three a minute, so that what each leaves behind is seen), tables, lists of the queue, flushes, postsuper."""

    def __init__(self, server, ledger, remote_port):
        self.server, self.ledger, self.remote_port = server, ledger, remote_port
        self.over, self.done, self.failed = threading.Event(), {}, []
        self.generation = 0
        self.thread = threading.Thread(target=self._work, daemon=True)

    def tables(self):
        self.generation += 1
        members = ", ".join(MEMBERS)
        filler = "".join(f"filler{i}: nobody{self.generation}@example.net\n" for i in range(500))
        self._table("aliases", f"list: {members}\n{filler}")
        self._table("virtual", f"team@alias.example {members}\n" + filler.replace("filler", "f").replace(":", "@alias.example"))
        # Port 1 refuses.
        self._table("transport", f"remote.test smtp:[127.0.0.1]:{self.remote_port}\ndead.test smtp:[127.0.0.1]:1\n"
                                 f"unused{self.generation}.test smtp:[127.0.0.1]:1\n")

    def _table(self, name, text):
        path = f"{self.server.work}/etc/{name}"
        with open(path + ".new", "w") as file:
            file.write(text)
        os.replace(path + ".new", path)
        self._run("postalias" if name == "aliases" else "postmap", f"hash:{path}")

    def _run(self, *command):
        done = self.server.run(*command)
        what = " ".join(command[:2] if command[1].startswith("-") or command[0] == "postfix" else command[:1])
        self.done[what] = self.done.get(what, 0) + 1
        if done.returncode != 0:
            self.failed.append(f"{time.strftime('%T')} {what}: status {done.returncode}: {done.stderr.strip()[-200:]}")
        return done

    def _work(self):
        held, second = [], 0
        while not self.over.wait(1):
            second += 1
            if second % 20 == 0:
                self._run("postfix", "reload")
            if second % 15 == 0:
                self.tables()
            if second % 7 == 0:
                self._run("postqueue", "-p")
            if second % 20 == 0:
                self._run("postqueue", "-f")
            if second % 5 == 0:
                self._super(held, second)

    def _super(self, held, second):
        listing = self._run("postqueue", "-j").stdout.splitlines()
        rows = [json.loads(line) for line in chance.sample(listing, min(4, len(listing)))]
        ids = [row["queue_id"] for row in rows if row["queue_name"] != "hold"]
        # What has gone meanwhile cannot be found, and that is no failure.
        if held:
            self.server.run("postsuper", "-H", held.pop())
        if len(ids) > 2:
            self.server.run("postsuper", "-h", ids[0])
            held.append(ids[0])
            self.server.run("postsuper", "-r", ids[1])
            self._count("postsuper -h, -H, -r")
        if len(ids) > 3 and second % 25 == 0 and ids[3] in self.ledger.queue_ids:
            # Before it is done: what arrives meanwhile is the recipient's luck.
            self.ledger.delete(ids[3])
            self.server.run("postsuper", "-d", ids[3])
            self._count("postsuper -d")

    def _count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def stop(self):
        self.over.set()
        self.thread.join(90)
        self.server.run("postsuper", "-H", "ALL")


def table(samples, rows=30):
    columns = ["queue", "spool"] + [f"{process} {key}" for process in ("mail", "agent", "master") for key in ("rss", "pss", "fds", "threads")]
    print("  minute " + " ".join(f"{name:>14}" for name in columns))
    step = max(1, len(samples) // rows)
    for one in samples[::step]:
        print(f"{(one['time'] - samples[0]['time']) / 60:8.1f} " + " ".join(f"{gauge.readable(name, one.get(name)):>14}" for name in columns))


def run(server, ledger, traffic, administrator, failures):
    """Samples until the time is over; when the second half begins, and the kills."""
    samples, kills, begin = [], {}, time.time()
    end, quarter = begin + 60 * minutes, 15 * minutes
    next_kill = begin + quarter / 4
    while (now := time.time()) < end:
        samples.append(gauge.sample(server))
        if len(samples) % (60 // EVERY) == 1:
            print(f"{(now - begin) / 60:5.0f} of {minutes:g} minutes: {traffic.accepted} messages accepted, {len(ledger.waiting())} on their way", file=sys.stderr, flush=True)
        if next_kill < now < begin + quarter:
            victim = chance.choice(("mail", "agent"))
            send(server.running()[victim], signal.SIGKILL)
            kills[victim] = kills.get(victim, 0) + 1
            next_kill = now + quarter / 4
        time.sleep(max(0.1, EVERY - (time.time() - now)))
    before = {name: pid for name, pid in samples[len(samples) // 2].items() if name.endswith(" pid")}
    if any(samples[-1].get(name) != pid for name, pid in before.items()):
        failures.append("a process was replaced in the second half, where nobody killed any")
    return samples, kills, begin + 30 * minutes


def drained(server, failures):
    """The queue is empty, the spool is small again; the bytes of log and of contents that are left."""
    left = server.drain(180)
    if left != 0:
        failures.append(f"the queue does not drain: {left} are left")
    spool, deadline = f"{server.work}/queue/spool", time.time() + 60
    while True:
        contents = sum(name.endswith(".content") for name in os.listdir(spool))
        held = gauge.bytes_on_disk(spool, ".content")
        log = gauge.bytes_on_disk(spool) - held
        good = log <= KEPT_LOG and contents <= KEPT_CONTENTS and held <= KEPT_CONTENT_BYTES
        if good or time.time() > deadline:
            break
        time.sleep(1)
    if not good:
        failures.append(f"with an empty queue the spool keeps {log >> 20} MiB of log and {held >> 20} MiB in {contents} contents")
    return log, held


def main():
    failures, ledger = [], Ledger()
    remote = Remote(lambda name, recipient: ledger.arrive("remote", name, recipient), seed)
    server = Instance(sbin, work, SETTINGS, chance=chance)
    administrator = Administrator(server, ledger, remote.port)
    traffic = Traffic(server, ledger, seed, RATE)
    try:
        administrator.tables()
        server.start()
        traffic.start()
        administrator.thread.start()
        samples, kills, half = run(server, ledger, traffic, administrator, failures)
        traffic.stop()
        administrator.stop()
        log, held = drained(server, failures)
        idle = gauge.sample(server)
        traffic.stop_reading()
    finally:
        traffic.over.set()
        administrator.over.set()
        server.end()
        remote.close()

    if len(sys.argv) > 4:
        with open(sys.argv[4], "w", newline="") as file:
            writer = csv.DictWriter(file, sorted({name for one in samples for name in one}))
            writer.writeheader()
            writer.writerows(samples)
    table([*samples, idle])
    print("\nover the second half                 mean         growth   at most")
    for name, mean, gain, limit, good in (*gauge.flatness(samples, half), *gauge.lowest(samples, half)):
        print(f"  {name:22} {gauge.readable(name, mean):>14} {gauge.readable(name, gain):>14} {gauge.readable(name, limit):>9}  {'flat' if good else 'GROWS'}")
        if not good:
            failures.append(f"{name} grows by {gauge.readable(name, gain)} in the second half, at most {gauge.readable(name, limit)}")
    lost = ledger.waiting()
    failures += [f"lost: {name} to {' '.join(sorted(left))}" for name, left in list(lost.items())[:20]]
    failures += [f"{ledger.strange} arrived that nobody sent"] if ledger.strange else []
    failures += [f"not a temporary error: {text}" for text in traffic.refusals if text[:1] != "4"]
    failures += ["a panic in the log"] if "panic:" in server.log() else []
    # While mail is being started again a command may find nobody; else it must not fail.
    failures += administrator.failed if len(administrator.failed) > 3 * sum(kills.values()) else []
    print("\n" + json.dumps({
        "seed": seed, "minutes": minutes, "accepted": traffic.accepted, "ends": ledger.ends, "lost": len(lost), "second copies": ledger.again,
        "deleted": ledger.deleted, "kills": kills, "administrator": administrator.done, "refusals": traffic.refusals,
        "log and contents at the end, MiB": [round(one / 2 ** 20, 1) for one in (log, held)], "failures": len(failures)}))
    print("verdict: " + ("flat, nothing lost, drained, space won back" if not failures else "FAILED"))
    if failures:
        print(*failures[:40], *administrator.failed[:5], sep="\n", file=sys.stderr)
        sys.exit(1)


main()
