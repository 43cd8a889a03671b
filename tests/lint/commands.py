#!/usr/bin/env python3
"""A path in a command that a person is told to run is one word of the shell, whatever is in its name: it is a SHELL_WORD().

Looks at calls with a format in which a command stands, as "run: chmod 0400 %s", and at the argument of each %s from there to the
end of its clause. Prints what is wrong; exit status 1 when anything is."""
import pathlib
import re
import sys

FOLDERS = ("common", "edge", "keyserver", "cli")
PROGRAMS = ("chgrp|chmod|chown|cp|csplit|fuser|getent|iconv|keyless(?:-server|-edge)?|keytool|ln|ls|mkdir|mv|namei|openssl|rm|setfacl|ss|"
            "stat|systemctl|useradd")
# After "run:" and its like anything is a command; elsewhere one begins with a program and an option or a verb.
COMMAND = re.compile(r"\b(?:run|with|see): |(?:^|[:|&(] |\\n  |# )(?:%s) (?=-|\w+ -|%%)" % PROGRAMS)
END = re.compile(r"; (?!or run)|, (?:and|or) |\\n|[.] |$")
CALL = re.compile(r"\b(?:fault_set|findings_add\w*|log_event|log_finding|fprintf|printf|buffer_printf|snprintf|cli_fail|cli_usage|put|say)\(")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)+\'|/\*.*?\*/|[()\[\]{},]', re.S)
CONVERSION = re.compile(r"%(?:(%)|[-+ #0]*(\*|\d+)?(?:\.(\*|\d+))?(?:hh|h|ll|l|z|j|t)?([a-zA-Z]))")
# Of what a person or a peer names; a port, a key in base64 or an option of ours needs no quotes.
NAMED = re.compile(r"\b(?:(?:path|file|folder|program|user|dir)|names_host)\b")


def arguments(text, at):
    """The arguments of the call whose parenthesis is before AT."""
    depth, begin, found = 0, at, []
    for token in TOKEN.finditer(text, at):
        mark = token.group(0)
        if mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth -= 1
        if (mark == "," and depth == 0) or depth < 0:
            found.append(text[begin:token.start()].strip())
            begin = token.end()
        if depth < 0:
            return found
    return found


def formats(argument):
    """The formats that ARGUMENT may be: one, or those of a condition."""
    for part in re.split(r'(?<=")\s*:\s*(?=")', argument):
        pieces = re.findall(r'"((?:[^"\\]|\\.)*)"', part)
        if pieces:
            yield "".join(pieces)


def bare(text, given):
    """The arguments in GIVEN of the format TEXT that stand as they are in one of its commands."""
    spans = []
    for command in COMMAND.finditer(text):
        spans.append((command.start(), END.search(text, command.end()).start()))
    place = 0
    for found in CONVERSION.finditer(text):
        if found.group(1):
            continue
        place += (found.group(2) == "*") + (found.group(3) == "*") + 1
        argument = given[place - 1] if place <= len(given) else ""
        if found.group(4) == "s" and any(begin <= found.start() < end for begin, end in spans) and \
                NAMED.search(re.sub(r'"(?:[^"\\]|\\.)*"', "", argument)) and not re.match(r"SHELL_WORD(?:_PART)?\(", argument):
            yield argument


def main():
    wrong, quoted = [], 0
    for path in sorted(path for folder in FOLDERS for path in pathlib.Path(folder).rglob("*.c")):
        text = path.read_text()
        quoted += text.count("SHELL_WORD")
        for call in CALL.finditer(text):
            given = arguments(text, call.end())
            at = next((i for i, argument in enumerate(given) if '"' in argument and "%" in argument), None)
            for form in formats(given[at]) if at is not None else ():
                for argument in bare(form, given[at + 1:]):
                    wrong.append("%s:%d: %s stands bare in a command; write SHELL_WORD(%s)" %
                                 (path, text.count("\n", 0, call.start()) + 1, argument, argument))
    if quoted == 0:
        wrong.append("no SHELL_WORD() found; has its name changed?")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
