#!/usr/bin/python3
"""The systemd units: what they let the daemons do is no more than they need, and no less than what they do.

Exposure is that of `systemd-analyze security`; each call of the daemons' own lists passes the unit's filter. Prints one line a breach and
exits 1 when there is any; says nothing where there is no systemd-analyze.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "deploy", "systemd")
# Of the unit, and of the unit with the drop-in for high ports. What is left: the network (1.0), files of root's, and giving up
# capabilities itself.
EXPOSURE_MAX = {"keyless-server": (1.7, 1.5), "keyless-edge": (1.7, 1.5)}


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True).stdout


def call_groups():
    """{'@group': names of calls, and of groups}"""
    groups, current = {}, None
    for line in re.sub(r"\x1b\[[0-9;]*m", "", analyze("syscall-filter")).splitlines():
        word = line.strip()
        if line.startswith("@"):
            current = groups.setdefault(word, [])
        elif current is not None and word and not word.startswith("#"):
            current.append(word)
    return groups


def expand(name, groups):
    return {name} if name not in groups else set().union(*(expand(word, groups) for word in groups[name]), set())


def passes(unit, groups):
    allowed = expand("@default", groups)
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.M):
        named = set().union(*(expand(word, groups) for word in line.lstrip("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


# A C library that has prlimit64 makes that call instead, and our processes leave it to the kernel where they run.
NOT_MADE = {"setrlimit", "sched_setaffinity"}


def calls_allowed():
    """Those that some process makes; a call that only ever fails may fail here, too."""
    with open(os.path.join(ROOT, "common", "sandbox_calls.c")) as handle:
        return {name for name, rest in re.findall(r'CALL\("(\w+)",([^\n]*)', handle.read()) if ".error" not in rest} - NOT_MADE


def exposure(name, unit):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name + ".service")
        with open(path, "w") as handle:
            handle.write(re.sub(r"@\w+dir@", "/usr/sbin", unit))
        return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", analyze("security", "--offline=yes", path)).group(1))


def main():
    bad, groups = [], call_groups()
    for name, (most, most_high) in EXPOSURE_MAX.items():
        with open(os.path.join(FOLDER, name + ".service.in")) as handle:
            unit = handle.read()
        with open(os.path.join(FOLDER, name.replace("keyless-", "") + "-high-ports.conf")) as handle:
            high = handle.read()
        for what, text, limit in (("", unit, most), (" for high ports", unit.replace("[Install]", high + "[Install]"), most_high)):
            found = exposure(name, text)
            if found > limit:
                bad.append("%s.service%s: exposure %.1f, more than %.1f" % (name, what, found, limit))
        missing = calls_allowed() - passes(unit, groups)
        if missing:
            bad.append("%s.service: SystemCallFilter= lacks %s" % (name, " ".join(sorted(missing))))
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


sys.exit(main() if shutil.which("systemd-analyze") else 0)
