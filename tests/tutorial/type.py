#!/usr/bin/env python3
"""Types the console blocks of a page and compares what is printed: type.py PAGE. Lines that begin with `# ` are commands;
`[...]` in an expected line stands for any text, alone on a line for any number of lines. Ends with the first difference."""
import re
import subprocess
import sys

page = open(sys.argv[1]).read()
count = 0
for block in re.findall(r"```console\n(.*?)```", page, re.S):
    for step in re.split(r"^(?=# )", block, flags=re.M):
        if not step:
            continue
        command, _, expected = step.partition("\n")
        command = command[2:]
        ran = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True, timeout=120)
        lines = []
        for line in expected.splitlines():
            lines.append(r"(?:.*\n)*" if line == "[...]" else ".*".join(re.escape(part) for part in line.split("[...]")) + r"\n")
        if not re.fullmatch("".join(lines), ran.stdout):
            print(f"# {command}\nexpected:\n{expected}printed (status {ran.returncode}):\n{ran.stdout}")
            sys.exit(1)
        count += 1
print(f"{count} commands typed")
