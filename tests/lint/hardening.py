#!/usr/bin/python3
"""Checks on the built programs that the hardening flags took effect: hardening.py PROGRAM…

Position-independent, full RELRO, stack not executable, stack protector, FORTIFY, control-flow protection, no text
relocations, no run path. Prints one line a breach and exits 1 when there is any.
"""
import platform
import re
import subprocess
import sys


def readelf(program, *flags):
    return subprocess.run(["readelf", "-W", *flags, program], check=True, capture_output=True, text=True).stdout


def breaches(program):
    header, segments = readelf(program, "-h"), readelf(program, "-l")
    dynamic, symbols, notes = readelf(program, "-d"), readelf(program, "--dyn-syms"), readelf(program, "-n")
    checks = [
        ("is not position-independent (-pie)", re.search(r"Type:\s+DYN", header)),
        ("has no RELRO segment", "GNU_RELRO" in segments),
        ("binds lazily (-z now)", re.search(r"FLAGS.*\bNOW\b", dynamic)),
        ("has an executable stack", re.search(r"GNU_STACK.*\bRW\b(?!E)", segments)),
        ("has no stack protector", "__stack_chk_fail" in symbols),
        ("was built without _FORTIFY_SOURCE", re.search(r"__\w+_chk\b(?<!__stack_chk_fail)", symbols)),
        ("has text relocations", "TEXTREL" not in dynamic),
        ("has a run path", "RUNPATH" not in dynamic and "RPATH" not in dynamic),
    ]
    if platform.machine() == "x86_64":
        checks.append(("lacks control-flow protection (IBT, SHSTK)", "IBT" in notes and "SHSTK" in notes))
    return ["%s %s" % (program, text) for text, good in checks if not good]


def main():
    found = [b for program in sys.argv[1:] for b in breaches(program)]
    for breach in found:
        print(breach)
    return 1 if found or len(sys.argv) < 2 else 0


sys.exit(main())
