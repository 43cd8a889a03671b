#!/usr/bin/env python3
"""In the log one name means one thing: every field of a line stands in the table of docs/reference/log.md, and every one of the table is used.

Reads the formats of log_event() and its fellows in the daemons, texts that begin with a field in the files that call them, and the
names of log_record_fields() and of lines that are put together field by field. Prints what is wrong; exit status 1 when anything is."""
import pathlib
import re
import sys

TABLE = "docs/reference/log.md"
FOLDERS = ("common", "edge", "keyserver")
# Not to be documented either: what stands for it in every line.
SYNONYMS = {"operation": "op", "why": "reason", "err": "error", "mend": "hint", "peer": "client or edge", "ip": "client or address",
            "host": "address", "trace_id": "trace", "path": "file", "msg": "error", "message": "error", "cause_of": "reason",
            "what": "error", "meaning": "error"}
NO_FIELDS = {"charset", "provider"}  # of HTTP, and of OpenSSL's queries
CALLS = re.compile(r"\blog_(?:event|finding|record|record_fields|line_field|line_count)\(|\blog_crash_(?:say|warn)\b")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
FIELD = re.compile(r'(?:^|(?<= ))([a-z_]+)=(?=[%_a-z]|$)')
ARRAY = re.compile(r"\bstruct log_field \w+(?:\[\])? = \{(.*?)\};", re.S)
BY_FIELD = re.compile(r'\blog_line_(?:field|count)\(\s*[^,]+,\s*"(\w+)"')


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def bare(text):
    """Without comments and characters, in lines of the same numbers; strings stay."""
    def left(found):
        return found.group(0) if found.group(0)[0] == '"' else "\n" * found.group(0).count("\n")
    return re.sub(r'"(?:[^"\\]|\\.)*"|/\*.*?\*/|\'(?:[^\'\\]|\\.)+\'', left, text, flags=re.S)


def fields(text):
    """Names of fields in TEXT, a source file that logs, with their lines."""
    for found in TEXT.finditer(text):
        value = re.sub(r'\\"(?:[^"\\]|\\[^"])*(?:\\"|$)', "_", found.group(1))  # what is quoted in the line is no field
        for name in FIELD.findall(value):
            if name not in NO_FIELDS:
                yield line_of(text, found.start()), name
    for found in ARRAY.finditer(text):
        names = re.findall(r'\{\s*"(\w+)"', found.group(1)) or re.findall(r'^\s*"(\w+)"', found.group(1))
        for name in names:
            yield line_of(text, found.start()), name
    for found in BY_FIELD.finditer(text):
        yield line_of(text, found.start()), found.group(1)


def table():
    names = []
    for row in re.findall(r"^\| (`.*?) \|", pathlib.Path(TABLE).read_text(), re.M):
        names += re.findall(r"`(\w+)`", row)
    return names


def main():
    wrong, seen, names = [], {"event"}, table()
    for path in sorted(path for folder in FOLDERS for path in pathlib.Path(folder).rglob("*.c")):
        text = bare(path.read_text())
        for line, name in fields(text) if CALLS.search(text) else ():
            seen.add(name)
            if name in SYNONYMS:
                wrong.append("%s:%d: %s= is written %s=" % (path, line, name, SYNONYMS[name]))
            elif name not in names:
                wrong.append("%s:%d: the field %s= is not in the table of %s" % (path, line, name, TABLE))
    if len(seen) < 2:
        wrong.append("no field found; has the form of the calls changed?")
    wrong += ["%s: %s is there twice" % (TABLE, name) for name in sorted(set(names)) if names.count(name) > 1]
    wrong += ["%s: %s is a field of no line" % (TABLE, name) for name in sorted(set(names) - seen)]
    wrong += ["docs/operate/monitoring.md: %s= is not in the table of %s" % (name, TABLE) for name in
              re.findall(r"^\| `(\w+)=`", pathlib.Path("docs/operate/monitoring.md").read_text(), re.M) if name not in names]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
