#!/usr/bin/env python3
"""Measures a run: `cpu PID` prints the CPU seconds of a process and all its descendants, the finished ones included;
`pss PID` prints their PSS in MB; `processes PID` prints each with its PSS, `pids PID` their numbers; `sessions PORT COUNT SECONDS` holds COUNT sessions after EHLO;
`mute PORT` takes connections and says nothing, for an hour; `disk DIR` prints synced 4 KiB writes a second."""
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


def processes(pid):
    parts = []
    for one in tree(pid):
        try:
            with open(f"/proc/{one}/cmdline", "rb") as line:
                words = line.read().split(b"\0")
            with open(f"/proc/{one}/smaps_rollup") as rollup:
                size = sum(int(row.split()[1]) for row in rollup if row.startswith("Pss:"))
            parts.append(f"{os.path.basename(words[0]).decode()} {words[1].decode() if len(words) > 1 else ''} {size / 1024:.1f} MB")
        except OSError:
            pass
    return ", ".join(parts)


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


def mute(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1000)
    time.sleep(3600)


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
elif verb == "processes":
    print(processes(int(sys.argv[2])))
elif verb == "pids":
    print(*tree(int(sys.argv[2])))
elif verb == "sessions":
    sessions(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
elif verb == "mute":
    mute(int(sys.argv[2]))
elif verb == "disk":
    disk(sys.argv[2])
