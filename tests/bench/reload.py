"""A reload that only takes an edge's line away, with few keys and with thousands: from SIGHUP until that edge is let go."""
import os
import signal
import time

import goals
from daemon import wait_until
from fleet import Identity, write

FEW, MANY = 5, 5000
EDGES = 6  # taken away one after another
# An ECPrivateKey of RFC 5915 without the public half, which the reader computes: 32 random bytes go in between.
P256_BEFORE, P256_AFTER = bytes.fromhex("30310201010420"), bytes.fromhex("a00a06082a8648ce3d030107")


def make_keys(folder, count):
    """P-256: below its order are all but one of 2^32 numbers."""
    for number in range(count):
        with open(os.open("%s/k%05d.der" % (folder, number), os.O_WRONLY | os.O_CREAT, 0o400), "wb") as handle:
            handle.write(P256_BEFORE + os.urandom(32) + P256_AFTER)


class Reload:
    def __init__(self, run):
        self.run = run

    def measure(self):
        for count in (FEW, MANY):
            self.run.say("a reload with %d keys" % count)
            self._measure(count)

    def _measure(self, count):
        site = self.run.site
        lines = [site.authorized_line()] + [
            site.authorized_line("edge%d" % number, Identity(site.folder, "reload%d-%d.key" % (count, number))) for number in range(2, EDGES + 2)]
        identity, config, folder = site.server_folder([], "".join(lines), name="reload%d" % count)
        make_keys(os.path.join(folder, "keys"), count)
        server = site.restart_server(folder, identity, config)
        time.sleep(0.5)  # files that were written a moment before are read once more
        self._reload(server)
        for _ in range(EDGES):
            lines.pop()
            write(os.path.join(folder, "authorized_edges"), "".join(lines))
            self.run.note(("reload", count), 1000 * self._reload(server))
        site.daemons.remove(server)
        server.stop()

    def _reload(self, server):
        """Seconds; the next one waits until the old vault is gone."""
        since, begun = server.mark(), time.monotonic()
        server.send_signal(signal.SIGHUP)
        server.wait_log(r"event=edges_loaded\b", since)
        took = time.monotonic() - begun
        wait_until(lambda: server.find(r"event=child_ended\b", since), "the old vault's end")
        return took

    def rows(self):
        yield goals.row("reload", "an edge's line is taken away, %d P-256 keys: from SIGHUP until its channels are closed" % MANY,
                        self.run.median(("reload", MANY)), "ms", self.run.median(("reload", FEW)), "%d keys" % FEW, at_most=goals.RELOAD_MS)
