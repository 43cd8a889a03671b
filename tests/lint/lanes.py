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

# Object → the functions in it that give a verdict, or work on public numbers only.
VERDICTS = {"rsa_ifma.o": {"same"}, "ec_p256_ifma.o": {"sign_items", "comb_prepare"}, "ec_p384_ifma.o": {"sign_items", "comb_prepare"},
            "ed_ifma.o": {"comb_prepare"}}
# Objects that write bytes from vectors, and where compilers keep what is public (which lanes have an item, pointers) in vector and mask
# registers: moves say nothing there.
WRITES_BYTES = {"ec_p256_ifma.o", "ec_p384_ifma.o", "ed_ifma.o"}

# Those that set flags, those that address by vector; then kmov, vmov and the like to a general register. AT&T order, destination last.
DECIDES = re.compile(r"\b(k(or)?test[bwdq]|vptest|vtestp[sd]|v?u?comis[sd]|vp?gather\w+|vp?scatter\w+)\b")
MOVES = re.compile(r"\b(v?movmskp[sd]|v?pmovmskb|v?pextr[bwdq])\b|\b(kmov[bwdq]|v?mov[dq])\s+%\w+,%(e|r)\w+")


def breaches(path):
    name, function, count = os.path.basename(path), None, 0
    for line in subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout.split("\n"):
        start = re.match(r"[0-9a-f]+ <([^>]+)>:", line)
        function = start.group(1) if start else function
        count += "%zmm" in line
        # A compiler may give parts and copies of a function names such as same.part.0.
        found = DECIDES.search(line) or (name not in WRITES_BYTES and MOVES.search(line))
        if found and function.split(".")[0] not in VERDICTS.get(name, ()):
            yield "%s: %s lets a number out of the vector unit:%s" % (name, function, line.split(":", 1)[1])
    if count == 0:
        yield "%s has no vector instructions" % name


def main():
    found = [breach for path in sys.argv[1:] for breach in breaches(path)]
    for breach in found:
        print(breach)
    return 1 if found else 0


sys.exit(main())
