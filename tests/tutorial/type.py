#!/usr/bin/env python3
"""Types the console blocks of a page and compares what is printed: type.py PAGE. Lines that begin with `# ` are commands;
`[...]` in an expected line stands for any text, alone on a line for any number of lines. Ends with the first difference.

Commands that only look (those that sleep before, and the queue's listing) are typed again until they show what is expected,
for two minutes at most: on a machine with other work, mail may take longer than a reader waits."""
import re
import subprocess
import sys
import time

LOOKS = re.compile(r"sleep |postqueue -p$")
PATIENCE = 120
# What postfix stop says each second until it has ended.
WAITING = re.compile(r"^postfix/postfix-script: waiting for the Postfix mail system to terminate\n", re.M)


def run(command):
    return subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=PATIENCE)


page = open(sys.argv[1]).read()
count = 0
for block in re.findall(r"```console\n(.*?)```", page, re.S):
    for step in re.split(r"^(?=# )", block, flags=re.M):
        if not step:
            continue
        command, _, expected = step.partition("\n")
        command = command[2:]
        lines = []
        for line in expected.splitlines():
            lines.append(r"(?:.*\n)*" if line == "[...]" else ".*".join(re.escape(part) for part in line.split("[...]")) + r"\n")
        pattern, deadline = re.compile("".join(lines)), time.time() + PATIENCE
        while not pattern.fullmatch(WAITING.sub("", (ran := run(command)).stdout)):
            if not LOOKS.match(command) or time.time() > deadline:
                print(f"# {command}\nexpected:\n{expected}printed (status {ran.returncode}):\n{ran.stdout}")
                sys.exit(1)
            time.sleep(0.2)
        count += 1
print(f"{count} commands typed")
