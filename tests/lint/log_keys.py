#!/usr/bin/env python3
"""In the log one name means one thing: no field has the name of another's synonym.

Reads the formats of log_event() and its fellows in the daemons. The names are those of the table of fields in
docs/OPERATIONS.md. Prints what is wrong; exit status 1 when anything is."""
import pathlib
import re
import sys

FOLDERS = ("common", "edge", "keyserver")
# Not to be written, and what stands for it in every line.
SYNONYMS = {"operation": "op", "why": "reason", "err": "error", "mend": "hint", "peer": "client or edge", "ip": "client or address",
            "host": "address", "trace_id": "trace", "path": "file", "msg": "error", "message": "error", "cause_of": "reason"}
CALL = re.compile(r"\blog_(?:event|finding|record)\(\s*((?:[^;])*?)\);", re.S)


def fields(text):
    """Names of fields in the calls of TEXT, with the line of each call."""
    for call in CALL.finditer(text):
        words = re.findall(r'"((?:[^"\\]|\\.)*)"', call.group(1))
        value = re.sub(r'\\"(?:[^"\\]|\\[^"])*\\"', "_", "".join(words[1:]))  # what is quoted in the line is no field
        for name in re.findall(r"(?<![\w%.])([a-z_]+)=", value):
            yield text.count("\n", 0, call.start()) + 1, name


def main():
    wrong, seen = [], 0
    table = set(re.findall(r"^\| `(\w+)=`", pathlib.Path("docs/OPERATIONS.md").read_text(), re.M))
    for path in sorted(path for folder in FOLDERS for path in pathlib.Path(folder).rglob("*.c")):
        for line, name in fields(path.read_text()):
            seen += 1
            if name in SYNONYMS:
                wrong.append("%s:%d: %s= is written %s=" % (path, line, name, SYNONYMS[name]))
    if seen == 0:
        wrong.append("no field found; has the form of the calls changed?")
    wrong += ["docs/OPERATIONS.md: the table of fields lacks %s=" % name for name in sorted({"error", "hint", "reason", "op"} - table)]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
