#!/usr/bin/env python3
"""Numbered mail flows, and system calls of mail (and of agent) fail: EIO and ENOSPC by strace, at the first call, at one
later call, at every n-th, and at all from one on until strace lets go. For every cell of the matrix:

  * nothing that was answered with 250 is lost, also over a kill -9 and a start from the disk at the end;
  * every 250 has a write and a sync of the log with the result 0 between its final dot and itself (and of its content's file);
  * clients are told temporary errors only;
  * service comes back by itself once the fault is gone, in the same process.

faults.py SBIN WORK SECONDS [CELLS]: load a cell, and how many cells, evenly chosen; without it all."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

from instance import Instance, alive, send
from numbered import Load, arrivals
from verdict import Disturbance, judge

sbin, work, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
seed = int(os.environ.get("POSTWRIGHT_SEED", random.randrange(1 << 30)))
chance = random.Random(seed)
INLINE = 128 << 10
# Far more than it takes until a call has failed, and until service is back, on a machine that has other work.
LONGEST_CELL = 120
SLOWEST_RETURN = 60
SETTINGS = """spool_segment_size = 1048576
queue_minfree = 0
"""

# What fails together; positions that are reached in a second (strace counts for each thread).
WRITES, SYNCS, RENAMES = "pwrite64,pwritev,pwritev2", "fdatasync,fsync", "rename,renameat,renameat2"
MATRIX = [(who, calls, error, when)
          for who, calls, positions in (
              ("mail", WRITES, ("1", "20", "5+5", "10+")),
              ("mail", SYNCS, ("1", "20", "5+5", "10+")),
              ("mail", RENAMES, ("1", "2", "2+2", "1+")),
              ("mail", "open,openat", ("1", "3", "2+3", "1+")),
              ("mail", "fallocate", ("1", "2", "2+2", "1+")),
              ("agent", "write,writev,pwrite64", ("1", "3+3")),
              ("agent", SYNCS, ("1", "3+3")),
              ("agent", "open,openat", ("1", "3+3")),
              ("agent", "linkat", ("1", "3+3")))
          for error in ("EIO", "ENOSPC") for when in positions]
# The disk does not come back before the process dies.
KILLED = [("mail", WRITES, "EIO", "10+", "killed"), ("mail", SYNCS, "EIO", "10+", "killed")]

CALL = re.compile(r"^\d+ +(\d+\.\d+) (\w+)\((?:\d+<([^>]*)>)?.*= (-?\d+)(?: .*?)? ?(\(INJECTED\))? ?<(\d+\.\d+)>$")
RESUMED = re.compile(r"^(\d+) +\d+\.\d+ <\.\.\. \w+ resumed>(.*)$")
UNFINISHED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")


def read_trace(path):
    """Calls as (begin, name, path, result, injected, end), whole ones only."""
    calls, begun = [], {}
    with open(path, errors="replace") as trace:
        for line in trace:
            line = line.rstrip("\n")
            if first := UNFINISHED.match(line):
                begun[first[1]] = line[:-len(" <unfinished ...>")]
                continue
            if rest := RESUMED.match(line):
                line = begun.pop(rest[1], "") + rest[2]
            if call := CALL.match(line):
                begin = float(call[1])
                calls.append((begin, call[2], call[3] or "", int(call[4]), bool(call[5]), begin + float(call[6])))
    return calls


def injected(path):
    with open(path, "rb") as trace:
        return trace.read().count(b"(INJECTED)")


def unsynced(load, calls, begin, end):
    """Names that were acknowledged without a write and a sync of their own time."""
    with load.lock:
        taken = [(name, message, one) for name, message in load.messages.items() for one in message.attempts
                 if one.answer and one.answer.startswith(b"250") and begin <= one.sent and one.answered <= end]
    if calls is None:
        return [], len(taken)

    def good(names, suffix):
        return [(call[0], call[5], call[2]) for call in calls if call[1] in names and call[2].endswith(suffix) and call[3] >= 0 and not call[4]]
    writes, syncs, contents = good(WRITES.split(","), ".log"), good(SYNCS.split(","), ".log"), good(SYNCS.split(","), ".content")
    wrong = []
    for name, message, one in taken:
        backed = any(one.sent <= first and last <= one.answered
                     and any(one.sent <= write and done <= first and where == path for write, done, where in writes)
                     for first, last, path in syncs)
        if message.size > INLINE:
            backed = backed and any(one.sent <= first and last <= one.answered for first, last, _ in contents)
        if not backed:
            wrong.append(name)
    return wrong, len(taken)


def attach(pid, calls, error, when, trace):
    watched = ",".join(dict.fromkeys(f"{WRITES},{SYNCS},{calls}".split(",")))
    strace = subprocess.Popen(["strace", "-f", "-qq", "-y", "-ttt", "-T", "-s", "0", "-o", trace, "-e", f"trace={watched}",
                               "-e", f"inject={calls}:error={error}:when={when}", "-p", str(pid)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.time() + 10
    while not (os.path.exists(trace) and os.path.getsize(trace)) and time.time() < deadline:
        if strace.poll() is not None:
            raise RuntimeError(f"strace: {strace.stderr.read().decode()}")
        time.sleep(0.01)
    return strace


def deliver(server, go_on):
    server.set(defer_transports="" if go_on else "virtual")
    server.run("postfix", "reload")


def run_cell(server, load, number, cell):
    who, calls, error, when = cell[:4]
    trace = f"{server.work}/trace-{number}"
    # Where mail is delivered, emptied segments are used again and no file is made: it waits while that is to fail.
    grows = calls == "fallocate"
    if grows:
        deliver(server, False)
    before = server.running()
    with load.lock:
        refused = sum(load.refusals.values())
    attaching = time.time()
    strace = attach(before[who], calls, error, when, trace)
    begin = time.time()
    while (time.time() - begin < seconds or injected(trace) == 0) and time.time() - begin < LONGEST_CELL:
        time.sleep(0.05)
    disturbance = None
    if "killed" in cell:
        send(before[who], signal.SIGKILL)
        # No result since the fault began may have come to the disk.
        disturbance = Disturbance(time.time(), "killed under a fault", time.time() - attaching)
    end = time.time()
    strace.send_signal(signal.SIGINT)
    try:
        strace.wait(10)
    except subprocess.TimeoutExpired:
        strace.kill()
        strace.wait()
    back = load.until_accepted(SLOWEST_RETURN)
    if grows:
        deliver(server, True)
    wrong, taken = unsynced(load, read_trace(trace) if who == "mail" else None, begin, end)
    count = injected(trace)
    os.remove(trace)
    with load.lock:
        refused = sum(load.refusals.values()) - refused
    same = server.running() == before or disturbance is not None
    faults = [text for text, bad in (("no call failed", count == 0), ("no service afterwards", back is None),
                                     (f"250 without a sync: {wrong[:5]}", bool(wrong)), ("a process ended", not same)) if bad]
    print(f"{number:3} {who:5} {calls.split(',')[0]:9} {error:6} {when:4} {'killed' if disturbance else '':6} {count:5} failed  "
          f"{taken:5} taken  {refused:4} refused  back in {back or -1:4.1f} s  {'; '.join(faults)}", flush=True)
    return faults, disturbance


def main():
    cells = [*MATRIX, *KILLED]
    if len(sys.argv) > 4:
        count = int(sys.argv[4])
        cells = [cells[i * len(cells) // count] for i in range(count)]
        cells[-1] = KILLED[-1]
    server = Instance(sbin, work, SETTINGS, chance=chance)
    server.start()
    load = Load(server.port, 8, chance, sizes=(900, 900, 900, 20_000, 20_000, 200_000)).start()
    failures, disturbances = [], []
    try:
        load.until_accepted()
        for number, cell in enumerate(cells, 1):
            faults, disturbance = run_cell(server, load, number, cell)
            failures += [f"{cell}: {fault}" for fault in faults]
            disturbances += [disturbance] if disturbance else []
        load.stop()
        # What the disk holds, and nothing else, counts from here.
        mail = server.running()["mail"]
        send(mail, signal.SIGKILL)
        disturbances.append(Disturbance(time.time(), "kill at the end"))
        while alive(mail):
            time.sleep(0.01)
        waiting = server.drain()
    finally:
        load.over.set()
        server.end()
    verdict = judge(load.messages, arrivals(server.inbox), disturbances, 2 * 20, server.pace, failed_syncs=True)
    failures += [f"not a temporary error: {text}" for text in load.refusals if text[:1] != "4"]
    failures += ["a panic in the log"] if "panic:" in server.log() else []
    failures += [f"{waiting} still queued"] if waiting != 0 else []
    print(json.dumps({"seed": seed, "cells": len(cells), "accepted": load.accepted, "lost": len(verdict.lost),
                      "duplicates": verdict.causes, "unexplained": len(verdict.unexplained), "failures": len(failures), "refusals": load.refusals}))
    if failures or not verdict.good:
        print("\n".join([*failures, *verdict.lost[:20], *verdict.broken[:20], *verdict.unexplained[:20], *verdict.over_bound]), file=sys.stderr)
        print(*[line for line in server.log().splitlines() if re.search(r" (warning|error|fatal|panic):", line)][-60:], sep="\n", file=sys.stderr)
        sys.exit(1)


main()
