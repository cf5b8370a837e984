"""Lays every copy of every numbered message at somebody's door.

Lost: acknowledged with 250 and not in the mailbox, for each recipient. A second copy has one of these causes, or none:

  resent     under another queue ID: the client got no answer to a final dot, and sent the message again
  survived   under another queue ID: the client was told 4xx, but the record was on the disk when its sync was said to have failed
  repeated   under the same queue ID: a disturbance (kill, stop) came between the delivery's effect and its result on disk

A repeated copy is explained only if its first effect lies inside a window before a disturbance (running time: what a process
stood still does not count) or just behind it (the agent finishes what it has begun), and the next one after it."""
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass

# How long a result may take to the disk: the delivery's own sync, the queue manager's turn, five milliseconds of company, the
# commit under way and its own. Typical is a tenth of it. Where one turn of the machine takes longer, so many of them count.
RESULT_WINDOW = 0.25
RESULT_TURNS = 4
# For the bound on a disturbance's number: effects so shortly before it may all have been without a result.
COUNT_WINDOW = 0.1
# An agent whose mail process is gone finishes the deliveries it has begun.
FINISH_WINDOW = 2.0


@dataclass
class Disturbance:
    time: float
    kind: str
    # How long a process stood still, or was ending, before it: so much longer a result may have waited.
    stood: float = 0.0
    # An end in order repeats nothing.
    orderly: bool = False
    # The slowest turn of the machine (see Pace) around it.
    slowest: float = 0.0

    def window(self, seconds):
        return max(seconds, RESULT_TURNS * self.slowest)


@dataclass
class Verdict:
    lost: list
    broken: list
    unexplained: list
    over_bound: list
    causes: Counter
    per_disturbance: list
    ages: list

    @property
    def good(self):
        return not (self.lost or self.broken or self.unexplained or self.over_bound)


def judge(messages, copies, disturbances, limit, pace, failed_syncs=False):
    """limit: deliveries that may be under way at once."""
    for one in disturbances:
        one.slowest = pace.slowest(one.time - one.stood - FINISH_WINDOW, one.time + FINISH_WINDOW)
    verdict = Verdict([], [], [], [], Counter(), [], [])
    by_name = defaultdict(lambda: defaultdict(list))
    for copy in copies:
        if copy.name is None:
            verdict.broken.append(copy.recipient)
        else:
            by_name[(copy.name, copy.recipient)][copy.queue_id].append(copy.time)
    times = sorted(copy.time for copy in copies)
    repeated = [0] * len(disturbances)
    for name, message in messages.items():
        for recipient in message.recipients:
            found = by_name.pop((name, recipient), {})
            acknowledged = message.queue_ids
            verdict.lost += [f"{name} to {recipient} as {queue_id}" for queue_id in acknowledged - found.keys()]
            _by_queue_id(verdict, name, message, found.keys() - acknowledged, bool(acknowledged), failed_syncs)
            for queue_id, seen in found.items():
                seen.sort()
                for before, after in zip(seen, seen[1:]):
                    _repeated(verdict, f"{name} {queue_id}", before, after, disturbances, repeated)
    verdict.unexplained += [f"{name} to {recipient}: nobody sent it" for name, recipient in by_name]
    for one, count in zip(disturbances, repeated):
        # What was under way, and what had its effect within the window before: more cannot have been without a result.
        recent = bisect_right(times, one.time) - bisect_left(times, one.time - one.stood - one.window(COUNT_WINDOW))
        bound = 0 if one.orderly else limit + recent
        verdict.per_disturbance.append((one, count, bound))
        if count > bound:
            verdict.over_bound.append(f"{one.kind}: {count} repeated, at most {bound} can have been without a result")
    return verdict


def _by_queue_id(verdict, name, message, unasked, acknowledged, failed_syncs):
    """unasked: queue IDs that arrived and of which no client was told."""
    silent = sum(1 for one in message.attempts if one.answer is None)
    refused = sum(1 for one in message.attempts if one.answer is not None and one.answer[:1] != b"2")
    if len(unasked) > silent + (refused if failed_syncs else 0):
        verdict.unexplained.append(f"{name}: {len(unasked)} copies that no client was told of, {silent} attempts without answer, {refused} refused")
        return
    # The first copy of all is no duplicate.
    survived = max(0, len(unasked) - silent)
    verdict.causes["survived"] += survived
    verdict.causes["resent"] += max(0, len(unasked) - survived - (0 if acknowledged else 1))


def _repeated(verdict, what, before, after, disturbances, repeated):
    best = None
    for i, one in enumerate(disturbances):
        age = one.time - before
        if -one.window(FINISH_WINDOW) <= age <= one.window(RESULT_WINDOW) + one.stood and after >= one.time:
            if best is None or abs(age) < abs(best[1]):
                best = (i, age)
    if best is None:
        verdict.unexplained.append(f"{what}: delivered at {before:.3f} and again at {after:.3f}")
        return
    repeated[best[0]] += 1
    verdict.causes["repeated"] += 1
    verdict.ages.append(best[1] - disturbances[best[0]].stood)
