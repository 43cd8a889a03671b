#!/usr/bin/env python3
"""A function's name says what it acts on: the name of no static function is one of these verbs alone. No comment is empty.

In a list of symbols, a stack trace or a search, `start` may be any of forty. `start` and `stop` of what a test program has for all of its
tests may keep their names: they have the type of such a function, and each program has one of each. Prints what is wrong; exit status 1
when anything is."""
import pathlib
import re
import sys

FOLDERS = ("common", "proto", "keyserver", "edge", "cli", "tests")
BARE = ("act", "ask", "begin", "do", "done", "end", "execute", "finish", "go", "handle", "obey", "process", "run", "settle", "start", "step",
        "stop", "take", "update", "work")
DEFINED = re.compile(r"^(?:static|inline)\b[^=;{}()\"]*?\b(%s)\(([^)]*)\)" % "|".join(BARE), re.M)
EMPTY = re.compile(r"/\*\s*\*/")
FIXTURES = ("start", "stop")


def main():
    wrong, read = [], 0
    for path in sorted(path for folder in FOLDERS for path in pathlib.Path(folder).rglob("*.[ch]")):
        text, read = path.read_text(), read + 1
        wrong += ["%s:%d: an empty comment" % (path, text.count("\n", 0, found.start()) + 1) for found in EMPTY.finditer(text)]
        for found in DEFINED.finditer(text):
            name, parameters = found.groups()
            if not (path.parts[0] == "tests" and name in FIXTURES and parameters == "void **state"):
                wrong.append("%s:%d: %s() does not say what it acts on" % (path, text.count("\n", 0, found.start()) + 1, name))
    if read == 0:
        wrong.append("no source file found: run it from the top of the tree")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
