#!/usr/bin/python3
"""Does a key server's time tell what was wrong with a pre-master's padding? `make timing` runs this; docs/security/timing.md explains it.

    SECONDS=110 tests/timing/timing.py      for the measurement of the product; that of the control takes as long

Asks a key server on loopback, one request at a time, and does the same with a key server that has a leak of a microsecond built
in. Then has valgrind look at the path from the plaintext to the answer. Exit status 1 when something leaks, or when what was
built in was not found.
"""
import bisect
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
sys.dont_write_bytecode = True

import pki  # noqa: E402
from daemon import program  # noqa: E402
from fleet import Site  # noqa: E402

SECONDS = float(os.environ.get("SECONDS") or 110)
ROUNDS_LEAST = 1000
ERROR = 0.001  # chance that a run without any leak accuses one kind or more
POWER = 0.95   # chance with which what is called detectable is detected
NORMAL = statistics.NormalDist()


# ---- statistics: pure, of rounds as lists of nanoseconds, one a kind ----

def critical(kinds):
    """The score from which a kind is accused; ERROR is shared by the kinds and both directions."""
    return NORMAL.inv_cdf(1 - ERROR / kinds / 2)


def pairs(rounds, kind):
    """By how much KIND took longer than each of the others in the same round, sorted."""
    return sorted(values[kind] - value for values in rounds for other, value in enumerate(values) if other != kind)


class Difference:
    """How one kind differs from the others.

    Its `score` is the number of pairs in which it took longer, in standard deviations off the middle; that is its sum of ranks in the
    rounds. As the order within a round was drawn, every kind is as likely to have any of the ranks when there is no leak, whatever the
    times are like: mean and variance of the sum are known (Friedman 1937). `interval` are the differences that this test would not
    have refused, `median` is the one in the middle of them (Hodges and Lehmann 1963), `detectable` is what it would have found.
    """

    def __init__(self, rounds, kind):
        kinds, sorted_pairs = len(rounds[0]), pairs(rounds, kind)
        deviation = (len(rounds) * (kinds ** 2 - 1) / 12) ** 0.5
        middle = len(sorted_pairs) / 2

        def at(deviations):
            place = int(middle + deviations * deviation)
            return sorted_pairs[min(max(place, 0), len(sorted_pairs) - 1)]

        longer = len(sorted_pairs) - bisect.bisect_right(sorted_pairs, 0)
        equal = len(sorted_pairs) - longer - bisect.bisect_left(sorted_pairs, 0)
        limit = critical(kinds)
        self.score = (longer + equal / 2 - middle) / deviation
        self.leaks = abs(self.score) > limit
        self.median, self.interval = at(0), (at(-limit), at(limit))
        far = limit + NORMAL.inv_cdf(POWER)
        self.detectable = (at(far) - at(-far)) / 2


# ---- measuring ----

def processors():
    """(the client's, the server's): one each, where there are two."""
    have = sorted(os.sched_getaffinity(0))
    return {have[0]}, {have[-1]}


@contextlib.contextmanager
def bound_to(cpus):
    """This process and what it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def awake(cpus):
    """Keeps processors from sleeping: to wake up takes longer than what is measured, and not always as long. Gives way to anything."""
    def become_idle_work():
        os.sched_setaffinity(0, cpus)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))

    spinner = subprocess.Popen(["sh", "-c", "while :; do :; done"], preexec_fn=become_idle_work)
    try:
        yield
    finally:
        spinner.kill()
        spinner.wait()


class Bench:
    """A key, and key servers that hold it."""

    def __init__(self, folder):
        self.folder = folder
        self.site = Site(folder, pki.Authority(os.path.join(folder, "pki")))
        self.key, cert = self.site.authority.issue("rsa2048", "rsa2048", ["timing.test"])
        self.key_id = pki.key_id(cert)
        self.public = os.path.join(folder, "public.pem")
        pki.openssl("pkey", "-in", self.key, "-pubout", "-out", self.public)

    def measure(self, server_program, operation, seconds, rounds):
        """Rounds of a fresh key server: (names of kinds, list of rounds)."""
        mine, its = processors()
        with bound_to(its):
            server = self.site.start_server([self.key], program_name=server_program, extra="workers = 1",
                                            authorized=self.site.authorized_line(options="ops=" + operation))
        config = self.site.edge_config([(server.address, server.identity.public)], [], "127.0.0.1:1")
        out = os.path.join(self.folder, "times")
        command = [program("timing/ask"), config, self.key_id, self.public, str(seconds), str(rounds), out]
        if operation == "rsa_master":
            command.append(self.site.group_secret)
        with awake(its), bound_to(mine):
            done = subprocess.run(command, capture_output=True, text=True)
        server.stop()
        self.site.daemons.remove(server)
        if done.returncode != 0:
            raise SystemExit("timing: " + done.stdout + done.stderr + "\n".join(server.lines[-10:]))
        with open(out, encoding="ascii") as lines:
            names = lines.readline().split()
            return names, [[int(value) for value in line.split()] for line in lines]


# ---- what is said ----

def report(title, names, rounds):
    """Prints the table; returns the names of the kinds that differ."""
    found = [Difference(rounds, kind) for kind in range(len(names))]
    median = statistics.median(value for values in rounds for value in values)
    print("\n%s: %d rounds of %d kinds, %.1f µs at the median" % (title, len(rounds), len(names), median / 1000))
    print("  %-20s %14s %20s %9s" % ("padding", "difference ns", "interval ns", "score"))
    for name, kind in zip(names, found):
        print("  %-20s %14d %20s %9.2f  %s" % (name, kind.median, "%d … %d" % kind.interval, kind.score, "LEAKS" if kind.leaks else ""))
    print("  accused from a score of ±%.2f; %d ns would have been found" % (
        critical(len(names)), statistics.median(kind.detectable for kind in found)), flush=True)
    return [name for name, kind in zip(names, found) if kind.leaks]


def memcheck(name, *arguments):
    """What valgrind says of NAME: (number of complaints, text)."""
    done = subprocess.run(["valgrind", "--error-exitcode=99", program("timing/" + name), *arguments], capture_output=True, text=True)
    found = re.search(r"ERROR SUMMARY: (\d+) errors", done.stderr)
    ran = re.search(r"^([1-9]\d*) operations$", done.stdout, re.M)
    if done.returncode not in (0, 99) or not found or not ran:
        raise SystemExit("timing: %s did not run to its end under valgrind:\n%s%s" % (name, done.stdout, done.stderr))
    return int(found.group(1)), done.stderr


def memcheck_keys(folder):
    """A folder of RSA keys."""
    keys = os.path.join(folder, "memcheck-keys")
    if not os.path.isdir(keys):
        os.makedirs(keys, 0o700)
        for bits in (2048, 3072, 4096):
            path = os.path.join(keys, "rsa%d.pem" % bits)
            pki.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:%d" % bits, "-out", path)
            os.chmod(path, 0o400)
    return keys


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as text:
        info = text.read()
    field = {name: re.search(r"^%s\s*: (.*)" % name, info, re.M) for name in ("model name", "cpu family", "model")}
    cpu = ", ".join("%s %s" % (n.replace("cpu ", "").replace("model name", ""), m.group(1)) for n, m in field.items() if m).strip()
    version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return "%s; %d processors, load %.2f; OpenSSL %s" % (cpu, os.cpu_count(), os.getloadavg()[0], version)


def verdicts(folder):
    """Runs everything; yields what is wrong."""
    bench = Bench(folder)
    try:
        names, rounds = bench.measure("keyless-server", "rsa_premaster", SECONDS, 10 ** 9)
        if len(rounds) < ROUNDS_LEAST:
            raise SystemExit("timing: %d rounds are too few; give it more SECONDS" % len(rounds))
        for name in report("rsa_premaster", names, rounds):
            yield "the padding '%s' shows in the time of rsa_premaster" % name
        names, control = bench.measure("timing/keyless-server-leaky", "rsa_premaster", 2 * SECONDS, len(rounds))
        if "good" not in report("control, a leak of 1 µs built in", names, control):
            yield "the leak of the control was not found: nothing is known of the product"
        names, rounds = bench.measure("keyless-server", "rsa_master", SECONDS / 3, 10 ** 9)
        for name in report("rsa_master", names, rounds):
            yield "the padding '%s' shows in the time of rsa_master" % name
    finally:
        bench.site.close()
    keys = memcheck_keys(folder)
    files = sorted(os.path.join(keys, name) for name in os.listdir(keys))
    for what, product, leaky in (("the signer", ("memcheck", keys), [("memcheck-leaky", keys)]),
                                 ("RSA in lanes", ("memcheck-lanes", *files), [("memcheck-lanes", leak, files[0]) for leak in ("branch", "address")]),
                                 ("ECDSA in lanes", ("memcheck-ec",), [("memcheck-ec-leaky",)]),
                                 ("Ed25519 in lanes", ("memcheck-ed",), [("memcheck-ed-leaky",)])):
        complaints, text = memcheck(*product)
        controls = [memcheck(*command)[0] for command in leaky]
        print("\nvalgrind, %s: %d complaints about jumps or addresses that depend on a secret; %s with a leak built in" % (
            what, complaints, " and ".join(map(str, controls))), flush=True)
        if complaints:
            yield "valgrind complains about %s:\n%s" % (what, text)
        if not all(controls):
            yield "valgrind does not find the leak of the control of %s" % what


def main():
    folder = tempfile.mkdtemp(prefix="keyless-timing-")
    print(machine())
    try:
        wrong = list(verdicts(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for line in wrong:
        print("timing: " + line)
    print("timing: %s" % ("BAD" if wrong else "nothing shows, and what was built in was found"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
