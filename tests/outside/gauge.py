"""What the processes use, sampled, and whether it is flat."""
import os
import re
import time
from dataclasses import dataclass

MEBIBYTE = 1 << 20


# What is never given back shows in the lowest value, however much the sessions of the moment hide it: from the third quarter
# of a run to the last it may rise by this many. Memory has its bound above: what the collector keeps between two runs of its
# own looks like growth for some minutes.
LOWEST_RISE = 2


@dataclass(frozen=True)
class Bound:
    """How much a figure may grow over the second half of a run: a share of its mean, or this much where that is less."""
    share: float
    least: float


BOUNDS = {"rss": Bound(0.10, 16 * MEBIBYTE), "pss": Bound(0.10, 16 * MEBIBYTE), "fds": Bound(0.10, 20), "threads": Bound(0.10, 20)}
QUEUE_BOUNDS = {"spool": Bound(0.25, 64 * MEBIBYTE), "queue": Bound(0.25, 200)}


def process_sample(pid):
    """rss, pss, open descriptors and threads; None when it has just ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            text = rollup.read()
        with open(f"/proc/{pid}/status") as status:
            threads = int(re.search(r"^Threads:\s+(\d+)", status.read(), re.M)[1])
        kilobytes = {name: int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M)[1]) for name in ("Rss", "Pss")}
        return {"rss": kilobytes["Rss"] * 1024, "pss": kilobytes["Pss"] * 1024,
                "fds": len(os.listdir(f"/proc/{pid}/fd")), "threads": threads}
    except (OSError, TypeError):
        return None


def bytes_on_disk(folder, suffix=""):
    total = 0
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        try:
            total += entry.stat().st_blocks * 512 if entry.name.endswith(suffix) else 0
        except FileNotFoundError:
            pass
    return total


def sample(server):
    found = {"time": time.time(), "spool": bytes_on_disk(f"{server.work}/queue/spool"), "queue": server.queued()}
    for name, pid in server.processes().items():
        if one := process_sample(pid):
            found |= {f"{name} {key}": value for key, value in one.items()} | {f"{name} pid": pid}
    return found


def growth(points):
    """What the line of least squares through (time, value) gains from the first to the last, and the mean value."""
    count = len(points)
    mean_time = sum(when for when, _ in points) / count
    mean = sum(value for _, value in points) / count
    spread = sum((when - mean_time) ** 2 for when, _ in points)
    slope = sum((when - mean_time) * (value - mean) for when, value in points) / spread if spread else 0
    return slope * (points[-1][0] - points[0][0]), mean


def flatness(samples, begin):
    """A row for each figure of the samples after `begin`: name, mean, growth, the bound, and whether it is within."""
    late = [one for one in samples if one["time"] >= begin]
    rows = []
    names = [(f"{process} {key}", bound) for process in ("master", "mail", "agent") for key, bound in BOUNDS.items()]
    for name, bound in [*names, *QUEUE_BOUNDS.items()]:
        points = [(one["time"], one[name]) for one in late if one.get(name) is not None]
        if len(points) < 5:
            rows.append((name, 0, 0, 0, False))
            continue
        gain, mean = growth(points)
        limit = max(bound.share * mean, bound.least)
        rows.append((name, mean, gain, limit, gain <= limit))
    return rows


def lowest(samples, begin):
    """The same for the lowest count of descriptors and threads: in the first and in the second half of the samples after `begin`."""
    late = [one for one in samples if one["time"] >= begin]
    rows = []
    for name in (f"{process} {key}" for process in ("master", "mail", "agent") for key in ("fds", "threads")):
        values = [one[name] for one in late if one.get(name) is not None]
        if len(values) < 10:
            rows.append((f"{name}, lowest", 0, 0, LOWEST_RISE, False))
            continue
        before, after = min(values[:len(values) // 2]), min(values[len(values) // 2:])
        rows.append((f"{name}, lowest", after, after - before, LOWEST_RISE, after - before <= LOWEST_RISE))
    return rows


def readable(name, value):
    if value is None:
        return "-"
    return f"{value / MEBIBYTE:.1f} MiB" if name.split(",")[0].split()[-1] in ("rss", "pss", "spool") else f"{value:.0f}"
