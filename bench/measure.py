#!/usr/bin/env python3
"""Measures a run: `cpu PID` prints the CPU seconds of a process and all its descendants, the finished ones included;
`pss PID` prints their PSS in MB; `wait LOG COUNT SECONDS` waits until COUNT messages are logged as removed and prints the
time of the last one; `sessions PORT COUNT SECONDS` holds COUNT sessions after EHLO; `disk DIR` prints synced 4 KiB writes a second."""
import os
import socket
import sys
import time


def tree(pid):
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(name))
            except (OSError, IndexError):
                pass
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        queue += children.get(one, [])
    return found


def cpu(pid):
    total = 0
    for one in tree(pid):
        try:
            with open(f"/proc/{one}/stat") as stat:
                total += sum(int(value) for value in stat.read().rsplit(")", 1)[1].split()[11:15])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def pss(pid):
    total = 0
    for one in tree(pid):
        try:
            with open(f"/proc/{one}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except OSError:
            pass
    return total / 1024


def wait(log, count, seconds):
    deadline, done, rest = time.time() + seconds, 0, b""
    with open(log, "rb") as lines:
        while time.time() < deadline:
            data = lines.read()
            if data:
                data = rest + data
                cut = data.rfind(b"\n") + 1
                done += data[:cut].count(b": removed\n")
                rest = data[cut:]
                if done >= count:
                    return time.time()
            else:
                time.sleep(0.02)
    print(f"only {done} of {count} messages were removed in {seconds} s", file=sys.stderr)
    sys.exit(1)


def sessions(port, count, seconds):
    held = []
    for number in range(count):
        one = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{2 + number % 200}", 0))
        one.recv(512)
        one.sendall(b"EHLO client.example\r\n")
        one.recv(1024)
        held.append(one)
    print("held", flush=True)
    time.sleep(seconds)


def disk(folder):
    path = os.path.join(folder, "sync-probe")
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    block = b"x" * 4096
    for _ in range(2000):
        os.write(file, block)
    os.fsync(file)
    os.lseek(file, 0, os.SEEK_SET)
    begun = time.time()
    for _ in range(2000):
        os.write(file, block)
        os.fdatasync(file)
    print(round(2000 / (time.time() - begun)))
    os.unlink(path)


verb = sys.argv[1]
if verb == "cpu":
    print(cpu(int(sys.argv[2])))
elif verb == "pss":
    print(f"{pss(int(sys.argv[2])):.0f}")
elif verb == "wait":
    print(wait(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
elif verb == "sessions":
    sessions(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
elif verb == "disk":
    disk(sys.argv[2])
