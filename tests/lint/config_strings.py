#!/usr/bin/env python3
"""A text in a configuration that a program writes is escaped: config_write_text() and its fellows put it there, and no format does.

Looks at formats in which an option is given a text in quotes, as in 'user = \\"%s\\"', outside of what is said to people. Prints what is
wrong; exit status 1 when anything is."""
import pathlib
import re
import sys

from commands import arguments

FOLDERS = ("common", "edge", "keyserver", "cli")
CALL = re.compile(r"\b(?:buffer_printf|fprintf|dprintf|snprintf|asprintf)\(")
BY_HAND = re.compile(r'\b\w+ = \{?\\"%[^%"]*s')


def main():
    bad = []
    for folder in FOLDERS:
        for path in sorted(pathlib.Path(folder).rglob("*.c")):
            text = path.read_text()
            for call in CALL.finditer(text):
                joined = re.sub(r'"\s*"', "", ",".join(arguments(text, call.end())))
                if BY_HAND.search(joined):
                    bad.append("%s:%d: a text of a configuration is written without config_write_text()"
                               % (path, text.count("\n", 0, call.start()) + 1))
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
