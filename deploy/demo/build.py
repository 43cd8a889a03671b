#!/usr/bin/python3
"""Runs the make command that follows, and says in one line how far it is: on a terminal n of m, elsewhere that it builds.

What make's recipes complain about goes to standard error as always; when the build fails, the end of its output follows.
"""
import subprocess
import sys

STEP = "printf '  %-7s %s"  # how a recipe of the makefile names what it makes


def count_steps(command):
    """What there is to make, by a dry run."""
    done = subprocess.run([*command, "-n"], capture_output=True, text=True)
    return sum(STEP in line for line in done.stdout.splitlines())


def main(command):
    total = count_steps(command)
    if total == 0:
        return subprocess.call(command, stdout=subprocess.DEVNULL)
    terminal = sys.stdout.isatty()
    if not terminal:
        print("Building the programs (%d steps)" % total, flush=True)
    build = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace")
    lines, made = [], 0
    for line in build.stdout:
        lines.append(line)
        made += line.startswith("  ")
        if terminal:
            print("\r\033[KBuilding the programs: %d of %d" % (min(made, total), total), end="", flush=True)
    if terminal:
        print("\r\033[K", end="", flush=True)
    code = build.wait()
    if code != 0:
        sys.stderr.writelines(lines[-20:])
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
