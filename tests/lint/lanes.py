#!/usr/bin/python3
"""Checks on the compiled kernels of the vector unit that no jump and no address can depend on a number in it: lanes.py OBJECT…

`make timing` runs the same source under valgrind in plain C; this is about what the compiler made of it for the machine. A number in a
vector or mask register can only come to decide something by way of an instruction that moves it to a general register or
to the flags, or that uses it as an index. Only the functions below may have one, as what they move is public. Prints one
line a breach and exits 1 when there is any.
"""
import os
import re
import subprocess
import sys

# Object → the functions in it that give a verdict.
VERDICTS = {"rsa_ifma.o": {"same"}}

# kmov and vmov to a general register, those that set flags, those that address by vector; AT&T order, destination last.
MOVES = re.compile(r"\b(k(or)?test[bwdq]|vptest|vtestp[sd]|v?u?comis[sd]|v?movmskp[sd]|v?pmovmskb|v?pextr[bwdq]|vp?gather\w+|vp?scatter\w+)\b"
                   r"|\b(kmov[bwdq]|v?mov[dq])\s+%\w+,%(e|r)\w+")


def breaches(path):
    name, function, count = os.path.basename(path), None, 0
    for line in subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout.split("\n"):
        start = re.match(r"[0-9a-f]+ <([^>]+)>:", line)
        function = start.group(1) if start else function
        count += "%zmm" in line
        # A compiler may give parts and copies of a function names such as same.part.0.
        if MOVES.search(line) and function.split(".")[0] not in VERDICTS.get(name, ()):
            yield "%s: %s lets a number out of the vector unit:%s" % (name, function, line.split(":", 1)[1])
    if count == 0:
        yield "%s has no vector instructions" % name


def main():
    found = [breach for path in sys.argv[1:] for breach in breaches(path)]
    for breach in found:
        print(breach)
    return 1 if found else 0


sys.exit(main())
