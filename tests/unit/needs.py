#!/usr/bin/python3
"""needs.py BUILD: rules for make that say which objects each unit test program is linked from.

A test needs the modules whose headers it includes, and what those need in turn. A header is implemented by the
family of its module: the .c files of its folder that begin with the same word (common/log.h: log.c, log_ring.c, …).
That is a little more than the linker would take, and far less than whole libraries: a change costs what depends on it.
A rig of tests is implemented by the .c file of its name.
"""
import functools
import glob
import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
GENERATED = "proto/keyless.pb-c.h"


@functools.lru_cache(None)
def includes(path):
    with open(path, encoding="utf-8") as handle:
        return INCLUDE.findall(handle.read())


@functools.lru_cache(None)
def family(folder, word):
    sources = glob.glob(os.path.join(folder, word + ".c")) + glob.glob(os.path.join(folder, word + "_*.c"))
    return [path for path in sources if os.path.basename(path) != "main.c"]


def implementers(header):
    folder, name = os.path.split(header)
    if folder.startswith("tests"):
        return [header[:-2] + ".c"] if os.path.exists(header[:-2] + ".c") else []
    return family(folder, name[:-2].split("_")[0])


def included_sources(path, seen=None):
    """The .c files that PATH, a file of a test, includes, and those that its rigs do."""
    seen = set() if seen is None else seen
    for name in includes(path):
        if name not in seen and (name.endswith(".c") or name.startswith("tests/")):
            seen.add(name)
            included_sources(name, seen)
            for rig in implementers(name) if name.startswith("tests/") and name.endswith(".h") else ():
                included_sources(rig, seen)
    return {name for name in seen if name.endswith(".c")}


def needs(test):
    """The .c files that TEST, another, is linked with, and whether the generated messages are. What TEST or a
    rig includes as source, to reach what is static in it or to put something else below it, is there already."""
    seen, linked, todo = set(), set(), [test]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        if path == GENERATED:
            continue
        todo += includes(path)
        if path.endswith(".h"):
            linked.update(implementers(path))
            todo += implementers(path)
    return {path for path in linked if path not in included_sources(test)}, GENERATED in seen


def main(build):
    for test in sorted(glob.glob("tests/unit/*/test_*.c")):
        linked, messages = needs(test)
        objects = ["%s/obj/%s.o" % (build, path[:-2]) for path in sorted(linked | {test})]
        if messages:
            objects.append("%s/obj/gen/keyless.pb-c.o" % build)
        print("%s/tests/%s: %s" % (build, test[len("tests/unit/"):-2], " ".join(objects)))


main(sys.argv[1])
