#!/usr/bin/env python3
"""Every option and every event of the log stands in its manual page, and every one of the pages is one; no page lacks a heading.

An option's paragraph begins in the first column with its name in stars: *name* = VALUE, or of authorized_edges *name=*VALUE.
A section is mentioned: *name { ... }*, or *name* in the text. An event stands in stars in a line of its own
in the section LOG. Prints what is missing on either side; exit status 1 when anything is."""
import pathlib
import re
import sys

PAGES = (
    ("docs/man/keyless-edge.conf.5.scd", ("edge/config/edge_config.c", "common/daemon_options.h"), ()),
    ("docs/man/keyless-server.conf.5.scd", ("keyserver/rules/server_config.c", "keyserver/rules/key_rules.c", "common/daemon_options.h"), ()),
    ("docs/man/authorized_edges.5.scd", (), ("keyserver/rules/authorized_options.c",)),
)
# What a reader of a manual page looks for, by its section.
COMPLETION = "deploy/completion/keyless.bash"
HEADINGS = {"1": ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "FILES", "EXAMPLES", "SEE ALSO"),
            "5": ("NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXAMPLES", "SEE ALSO")}
HEADINGS["8"] = HEADINGS["1"]
# A daemon's page, and the folders whose events it tells; those of common are told by both.
EVENT_PAGES = (("docs/man/keyless-edge.8.scd", "edge"), ("docs/man/keyless-server.8.scd", "keyserver"))
SECTION_TYPES = ("CONFIG_SECTION", "CONFIG_SECTIONS")


def known_options(sources):
    """Names of options and of sections, from the tables."""
    options, sections = set(), set()
    for source in sources:
        text = pathlib.Path(source).read_text()
        found = re.findall(r'\.name = "(\w+)",\s*\.type = (\w+)', text) + re.findall(r"\{OPTION\((\w+), (\w+),", text)
        for name, kind in found:
            (sections if kind in SECTION_TYPES else options).add(name)
    return options, sections


def documented(page):
    """Names that begin a paragraph, and those of them that are written name=VALUE."""
    text = pathlib.Path(page).read_text()
    names, words = set(), set()
    for line in re.findall(r"^\*\w+.*$", text, re.M):
        words.update(re.findall(r"\*(\w+)=\*", line))
        if re.search(r"\* = ", line):
            names.update(re.findall(r"\*(\w+)\*(?=,| =)", line))
    return text, names, words


def differences(page, sources, line_sources):
    options, sections = known_options(sources)
    words = set()
    for source in line_sources:
        words.update(re.findall(r'= \{"(\w+)", parse_\w+\}', pathlib.Path(source).read_text()))
    text, names, written = documented(page)
    if (sources and not options) or (line_sources and not words):
        yield "%s: no options found in %s; has the form of the tables changed?" % (page, ", ".join(sources + line_sources))
    for name in sorted(options - names):
        yield "%s: the option %s is not described" % (page, name)
    for name in sorted(names - options):
        yield "%s: describes %s, which is no option" % (page, name)
    for name in sorted(words - written):
        yield "%s: the option %s= of authorized_edges is not described" % (page, name)
    for name in sorted(written - words):
        yield "%s: describes %s=, which is no option of authorized_edges" % (page, name)
    for name in sorted(sections):
        if not re.search(r"\*%s\b" % name, text):
            yield "%s: the section %s is not mentioned" % (page, name)


def event_differences(page, folder):
    text = "".join(path.read_text() for path in sorted(pathlib.Path(folder).rglob("*.c")))
    common = "".join(path.read_text() for path in sorted(pathlib.Path("common").glob("*.c")))
    events = set(re.findall(r'\blog_(?:event|finding|record|record_fields)\([^"]*?"(\w+)"', text + common))
    log = re.search(r"^# LOG$(.*?)^# ", pathlib.Path(page).read_text(), re.M | re.S).group(1)
    named = {name for line in re.findall(r"^\*.*$", log, re.M) for name in re.findall(r"\*(\w+)\*", line)}
    for name in sorted(events - named):
        yield "%s: the event %s is not described" % (page, name)
    for name in sorted(named - events):
        if '"%s"' % name not in text + common:
            yield "%s: describes the event %s, which %s does not log" % (page, name, folder)


def completion_differences():
    """Long options of the command that its completion does not offer."""
    offered = set(re.findall(r"--([\w-]+)", pathlib.Path(COMPLETION).read_text()))
    for path in sorted(pathlib.Path("cli").glob("*.c")):
        for name in re.findall(r'\{"([\w-]+)", (?:no|required|optional)_argument', path.read_text()):
            if name not in offered:
                yield "%s: does not offer --%s of %s" % (COMPLETION, name, path)


def heading_differences(path):
    """What is missing of the headings of a manual page."""
    found = re.findall(r"^# (.*)$", path.read_text(), re.M)
    return ["%s: has no section %s" % (path, name) for name in HEADINGS[path.name.split(".")[-2]] if name not in found]


def main():
    missing = [line for path in sorted(pathlib.Path("docs/man").glob("*.scd")) for line in heading_differences(path)]
    missing += [line for page in PAGES for line in differences(*page)]
    missing += completion_differences()
    missing += [line for page in EVENT_PAGES for line in event_differences(*page)]
    for line in missing:
        print(line)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
