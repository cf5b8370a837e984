#!/usr/bin/env python3
"""Load, and kill -9, SIGSTOP, reload, stop and start of master, mail and agent at random moments. Then the count: nothing
acknowledged is lost, every second copy has a cause, and no kill repeats more deliveries than were without a result.

crash.py SBIN WORK ROUNDS SESSIONS [KIND,KIND...]; POSTWRIGHT_SEED repeats the choices of an earlier run."""
import collections
import json
import os
import random
import signal
import sys
import time

from instance import Instance, alive, send, state_of
from numbered import Load, arrivals
from verdict import Disturbance, judge

sbin, work, rounds, sessions = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
seed = int(os.environ.get("POSTWRIGHT_SEED", random.randrange(1 << 30)))
chance = random.Random(seed)
# virtual(8)'s default concurrency for each of the two recipients.
UNDER_WAY = 2 * 20
SLOWEST_RETURN = 60
# Mail cuts off after three seconds what does not end by itself.
ORDERLY_LIMIT = 2.9

# Every kind comes up in every dozen rounds; the order is chance's.
KINDS = ["kill mail", "kill agent", "kill master", "kill mail", "kill agent", "stand still mail", "stand still agent",
         "kill mail standing still", "stop and start", "reload", "kill master", "kill mail and agent"]


def deal(count):
    kinds = sys.argv[5].split(",") if len(sys.argv) > 5 else KINDS
    while count > 0:
        hand = chance.sample(kinds, len(kinds))
        yield from hand[:count]
        count -= len(hand)


def stand_still(pid, seconds):
    send(pid, signal.SIGSTOP)
    deadline = time.time() + 5
    while state_of(pid) not in ("T", "") and time.time() < deadline:
        time.sleep(0.01)
    time.sleep(seconds)


def disturb(server, kind):
    """Does it, and says what may have been repeated by it."""
    running = server.running()
    words = kind.split()
    if kind == "reload":
        server.run("postfix", "reload")
        return []
    if kind in ("stop and start", "kill master"):
        # Mail and agent end in order, also when master's end is all that they see of it: what is under way is finished first.
        began = time.time()
        if kind == "kill master":
            send(running["master"], signal.SIGKILL)
        else:
            server.stop()
        while any(alive(pid) for pid in running.values()) and time.time() - began < 20:
            time.sleep(0.01)
        took = time.time() - began
        server.start()
        return [Disturbance(began + took, kind, took, orderly=took < ORDERLY_LIMIT)]
    victims = [running[name] for name in ("mail", "agent") if name in words and name in running]
    stood = 0.0
    if "still" in words:
        stood = chance.uniform(0.1, 1.0)
        stand_still(victims[0], stood)
    if "kill" not in words:
        send(victims[0], signal.SIGCONT)
        return []
    for pid in victims:
        send(pid, signal.SIGKILL)
    return [Disturbance(time.time(), kind, stood)]


def main():
    server = Instance(sbin, work, chance=chance)
    server.start()
    load = Load(server.port, sessions, chance).start()
    disturbances, counts, returns, silent = [], collections.Counter(), [], []
    try:
        for kind in deal(rounds):
            time.sleep(chance.uniform(0.3, 1.5))
            disturbances += disturb(server, kind)
            counts[kind] += 1
            back = load.until_accepted(SLOWEST_RETURN)
            if back is None:
                silent.append(kind)
            else:
                returns.append(back)
        time.sleep(1)
        load.stop()
        if server.master() is None:
            server.start()
        waiting = server.drain()
    finally:
        load.over.set()
        server.end()

    verdict = judge(load.messages, arrivals(server.inbox), disturbances, UNDER_WAY, server.pace)
    temporary = all(text[:1] == "4" for text in load.refusals)
    for one, count, bound in verdict.per_disturbance:
        print(f"{one.kind:26} {count:4} repeated, at most {bound}")
    ages = sorted(verdict.ages)
    print(json.dumps({
        "seed": seed, "rounds": counts, "accepted": load.accepted, "lost": len(verdict.lost), "still queued": waiting,
        "duplicates": verdict.causes, "unexplained": len(verdict.unexplained), "over bound": len(verdict.over_bound),
        "effect to kill, milliseconds": [round(1000 * ages[int(share * (len(ages) - 1))]) for share in (0, 0.5, 0.9, 1)] if ages else [],
        "slowest return, seconds": round(max(returns, default=0), 1), "refusals": load.refusals}))
    if not verdict.good or waiting != 0 or silent or not temporary or "panic:" in server.log():
        for title, rows in (("lost", verdict.lost), ("not whole", verdict.broken), ("unexplained", verdict.unexplained),
                            ("over bound", verdict.over_bound), ("no service after", silent)):
            print(f"{title}: {len(rows)}", *rows[:20], sep="\n  ", file=sys.stderr)
        print("".join(server.log().splitlines(keepends=True)[-60:]), file=sys.stderr)
        sys.exit(1)


main()
