#!/usr/bin/python3
"""unused.py BUILD: what a program defines for others, some other part of a program uses; what only tests use is theirs.

Reads the symbols of the object files in BUILD. Prints what nobody uses; exit status 1 when there is any.
"""
import collections
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("common", "proto", "keyserver", "edge", "cli")
# Each kernel of the lanes has a portable twin, by which tests know what the other has to do.
TWINS = re.compile(r"(ec_p256|ec_p384|ed25519|rsa_kernel)_portable")


def symbols(build):
    """(defined: symbol → source, used: symbol → sources) of the programs."""
    defined, used = {}, collections.defaultdict(set)
    for folder in FOLDERS:
        for path, _, files in os.walk(os.path.join(build, "obj", folder)):
            for name in files:
                source = os.path.join(os.path.relpath(path, os.path.join(build, "obj")), name[:-2] + ".c")
                if not name.endswith(".o") or not os.path.exists(os.path.join(ROOT, source)):
                    continue
                listing = subprocess.run(["nm", os.path.join(path, name)], capture_output=True, text=True, check=True).stdout
                for line in listing.splitlines():
                    parts = line.split()
                    if len(parts) == 3 and parts[1] in "TDRBC":
                        defined[parts[2]] = source
                    elif len(parts) == 2 and parts[0] == "U":
                        used[parts[1]].add(source)
    return defined, used


def main(build):
    defined, used = symbols(build)
    bad = not defined
    if bad:
        print("no object files in %s: run make first" % build)
    for symbol, source in sorted(defined.items()):
        if symbol == "main" or used[symbol] or TWINS.fullmatch(symbol):
            continue
        with open(os.path.join(ROOT, source), encoding="utf-8") as handle:
            code = re.sub(r"/\*.*?\*/", "", handle.read(), flags=re.S)
        if len(re.findall(r"\b%s\b" % symbol, code)) < 2:
            print("%s: nothing but tests uses %s" % (source, symbol))
            bad = True
    return 1 if bad else 0


sys.exit(main(sys.argv[1]))
