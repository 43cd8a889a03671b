#!/usr/bin/python3
"""Checks on what was built that the hardening flags took effect: hardening.py FILE…

Of programs: position-independent, full RELRO, stack not executable, stack protector, FORTIFY, no text relocations, no
run path. Of every object in a library (*.a): control-flow protection; programs do not tell, since one object of the C
library without the mark takes it from the whole program, as in Debian 12. Prints one line a breach and exits 1 when
there is any.
"""
import platform
import re
import subprocess
import sys


def readelf(program, *flags):
    return subprocess.run(["readelf", "-W", *flags, program], check=True, capture_output=True, text=True).stdout


def library_breaches(library):
    if platform.machine() != "x86_64":
        return []
    members = re.split(r"^File: ", readelf(library, "-n"), flags=re.M)[1:]
    return ["%s lacks control-flow protection (IBT, SHSTK)" % member.split("\n")[0] for member in members
            if "IBT" not in member or "SHSTK" not in member] or ([] if members else [library + " is empty"])


def program_breaches(program):
    header, segments = readelf(program, "-h"), readelf(program, "-l")
    dynamic, symbols = readelf(program, "-d"), readelf(program, "--dyn-syms")
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
    return ["%s %s" % (program, text) for text, good in checks if not good]


def main():
    found = [b for file in sys.argv[1:] for b in (library_breaches if file.endswith(".a") else program_breaches)(file)]
    for breach in found:
        print(breach)
    return 1 if found or len(sys.argv) < 2 else 0


sys.exit(main())
