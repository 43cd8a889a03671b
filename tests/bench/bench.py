#!/usr/bin/python3
"""Every goal of speed and memory, measured beside what it is compared with in the same run.

    make bench [SHORT=1] [SAVE=1] [ONLY="part …"]        or: tests/bench/bench.py [--short] [--save] [--only "part …"]

Machines are shared and noisy: what is compared is CPU time, and only with what was measured in the same round; every figure is the
median of the rounds. Prints a table of figures, references, goals and verdicts, and writes it to bench.json in the build folder; with
--save also to docs/benchmarks/. Parts: server, alone, neighbours, handshakes, bulk, idle, far, memory, reload.
"""
import argparse
import contextlib
import os
import resource
import shutil
import signal
import statistics
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
sys.dont_write_bytecode = True

import machine  # noqa: E402
import pki  # noqa: E402
import report  # noqa: E402
from daemon import BUILD  # noqa: E402
from edge import Edges  # noqa: E402
from far import Far  # noqa: E402
from fleet import Site  # noqa: E402
from key_server import KeyServers, Memory, Neighbours  # noqa: E402
from peers import host_of  # noqa: E402
from reload import Reload  # noqa: E402

PARTS = ("memory", "reload", "idle", "alone", "server", "handshakes", "bulk", "neighbours", "far")
ROUNDS, SECONDS = 3, 1.0
SHORT_ROUNDS, SHORT_SECONDS = 1, 0.3


class Run:
    """What the measurements share: how long they take, where they note what they find, and the site they start daemons in."""

    def __init__(self, folder, short, parts):
        self.folder, self.short, self.parts = folder, short, parts
        self.rounds, self.seconds = (SHORT_ROUNDS, SHORT_SECONDS) if short else (ROUNDS, SECONDS)
        self.found, self.begun, self.where = {}, time.monotonic(), ""
        self.site = Site(os.path.join(folder, "site"), pki.Authority(os.path.join(folder, "pki")))
        self.keys = {kind: self.site.authority.issue(kind, kind, [host_of(kind)]) for kind in machine.SPEED}

    @property
    def key_files(self):
        return [key for key, _ in self.keys.values()]

    def note(self, name, value):
        self.found.setdefault(name, []).append(value)

    def median(self, name):
        """None for what was not measured."""
        return statistics.median(self.found[name]) if name in self.found else None

    def has(self, *parts):
        return any(part in self.parts for part in parts)

    def say(self, text):
        """One line that is written over on a terminal; nothing elsewhere."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K%4.0f s  %s%s" % (time.monotonic() - self.begun, self.where, text))
            sys.stderr.flush()

    def part(self, text):
        """A line that stays, where there is no terminal to write over."""
        self.where = text + ": " if sys.stderr.isatty() else ""
        if not sys.stderr.isatty():
            print("%4.0f s  %s" % (time.monotonic() - self.begun, text), file=sys.stderr, flush=True)


def measure_once(run, servers, edges):
    """What a second round would not find again: memory, and experiments that take long."""
    if run.has("idle"):
        run.part("idle connections")
        edges.measure_idle()
        yield from edges.idle_rows()
    if run.has("alone"):
        run.part("one request alone")
        for key in ("p256", "rsa2048"):
            run.note(("speed", key), machine.speed_us(key, run.seconds))
        servers.measure_alone()
    if run.has("neighbours"):
        run.part("two edges")
        yield from measured(Neighbours(run))
    if run.has("far"):
        run.part("a key server far away")
        far = Far(run)
        far.measure()
        far.measure_waiting()
        yield from far.rows()


def measured(experiment):
    experiment.measure()
    return experiment.rows()


def measure_rounds(run, servers, edges):
    """Rounds go around everything, so that a busy neighbour disturbs all alike."""
    for turn in range(run.rounds):
        run.part("round %d of %d" % (turn + 1, run.rounds))
        if run.has("server"):
            servers.measure()
        if run.has("handshakes"):
            edges.measure_handshakes()
        if run.has("bulk"):
            edges.measure_bulk()
    if run.has("server"):
        yield from servers.rows()
    if run.has("alone"):
        yield from servers.alone_rows()
    if run.has("handshakes"):
        yield from edges.handshake_rows()
    if run.has("bulk"):
        yield from edges.bulk_rows()


GROUPS = ("key server", "one request alone", "full handshake", "bulk", "distance", "reload", "memory")


def measure(run):
    with contextlib.ExitStack() as stack:
        stack.callback(run.site.close)
        edges, servers, rows = None, None, []
        if run.has("memory"):
            run.part("memory of the key server")
            rows += measured(Memory(run))
        if run.has("reload"):
            run.part("a reload with thousands of keys")
            rows += measured(Reload(run))
        if run.has("idle", "handshakes", "bulk"):
            edges = Edges(run, stack)
            for name in edges.missing:
                print("%s is not installed: its figures are missing" % name)
        if run.has("server", "alone"):
            servers = KeyServers(run)
        rows += [*measure_once(run, servers, edges), *measure_rounds(run, servers, edges)]
    return sorted(rows, key=lambda row: GROUPS.index(row["group"]))


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one short round: to see that it works, not for figures")
    parser.add_argument("--save", action="store_true", help="write docs/benchmarks/")
    parser.add_argument("--only", default=" ".join(PARTS), help="these parts: " + " ".join(PARTS))
    given = parser.parse_args()
    given.parts = given.only.split()
    if not set(given.parts) <= set(PARTS):
        parser.error("parts are: " + " ".join(PARTS))
    return given


def main():
    given = options()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # ten thousand clients, and as many at the daemons
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # as an interrupt: what was started is ended
    folder = tempfile.mkdtemp(prefix="keyless-bench-")
    try:
        run = Run(folder, given.short, given.parts)
        rows = measure(run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    run.where = ""
    run.say("")
    about = {**machine.describe(), "date": time.strftime("%Y-%m-%d"),
             "measured": "%d rounds of %g s each, %.0f s in all" % (run.rounds, run.seconds, time.monotonic() - run.begun)}
    print("\n".join("%s: %s" % (name, value if value else "not installed") for name, value in about.items()))
    print(report.table(rows))
    print("\n" + report.summary(rows))
    with open(os.path.join(BUILD, "bench.json"), "w") as handle:
        handle.write(report.as_json(rows, about))
    if given.save:
        command = "make bench SAVE=1" + (" SHORT=1" if given.short else "")
        report.save(os.path.join(ROOT, "docs", "benchmarks"), rows, about, command)
    return 0


sys.exit(main())
