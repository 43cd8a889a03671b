"""An audit log as its files hold it, and a load whose every answer is known, to be compared with it."""
import collections
import json
import os
import subprocess

from daemon import PATIENCE, program, wait_until
from processes import start

P256 = "0403"  # ecdsa_secp256r1_sha256


def records(folder):
    """Every record of the log in FOLDER, in order."""
    found = []
    for name in sorted(name for name in os.listdir(folder) if name.startswith("audit-")):
        with open(os.path.join(folder, name)) as handle:
            found += [json.loads(line) for line in handle]
    return found


def uses(found):
    """{trace: the results that are recorded under it}"""
    by_trace = collections.defaultdict(list)
    for record in found:
        if record["type"] == "use":
            by_trace[record["trace"]].append(record["result"])
    return by_trace


class Load:
    """Signatures without a pause for whoever listens at SERVER's address (tests/lib/peer_load.c), and what was answered."""

    def __init__(self, site, server, key_id, in_flight=32):
        self.path, self.in_flight = os.path.join(site.folder, "answers"), in_flight
        with open(self.path, "wb") as out:
            self.process = start(
                [program("tests/peer_load"), server.address, server.identity.public, site.edge_identity.path, site.psk_path,
                 key_id, P256, str(in_flight)], stdin=subprocess.PIPE, stdout=out)
        self.file, self.rest = open(self.path, "rb"), b""
        self.answers = collections.defaultdict(list)  # status: traces

    def read(self):
        """Takes in what was answered since the last time; returns self."""
        lines = (self.rest + self.file.read()).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            trace, status = line.decode().split(" ")
            self.answers[status].append(trace)
        return self

    def wait_more(self, count=1, status="ok"):
        """COUNT more answers with STATUS, of which up to `in_flight` may have been on their way already."""
        least = len(self.read().answers[status]) + count
        wait_until(lambda: self.process.poll() is not None or len(self.read().answers[status]) >= least,
                   "%d more answers: %s" % (count, status))
        assert self.process.poll() is None, "peer_load has ended"

    def end(self):
        """No further requests; what was answered until now is in `answers`."""
        self.process.stdin.close()
        assert self.process.wait(timeout=PATIENCE) == 0
        self.read()
        assert self.rest == b""

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.file.close()
