"""The edge beside nginx, HAProxy and hitch: CPU of a full handshake, memory of an idle connection, CPU of bulk data."""
import json
import subprocess
import time

import goals
import machine
from daemon import program
from peers import Origin, Ours, host_of, start_all

# name, key type, version, ciphers
HANDSHAKES = (("TLS 1.2 RSA", "rsa2048", "1.2", "AES128-GCM-SHA256"),
              ("TLS 1.2 ECDHE-RSA", "rsa2048", "1.2", "ECDHE-RSA-AES128-GCM-SHA256"),
              ("TLS 1.2 ECDHE-ECDSA", "p256", "1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
              ("TLS 1.3 ECDSA", "p256", "1.3", "-"))
PARALLEL = {"one after another": 1, "64 at once": 64}
BULK_CONNECTIONS = 4
IDLE, SHORT_IDLE, FIRST = 2000, 300, 8


class Client:
    """build/bench/tls_client on the client's CPU."""

    def __init__(self, mode, port, kind, version, ciphers, count, seconds):
        self.process = subprocess.Popen(machine.pinned([program("bench/tls_client"), mode, str(port), version, ciphers, host_of(kind), str(count),
                                                        str(seconds)], machine.CLIENT_CPU),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def result(self):
        """What it has found out; of `hold`, as soon as everything is open."""
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("tls_client ended with %d" % self.process.wait())
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        return code


def ask(*arguments):
    client = Client(*arguments)
    try:
        found = client.result()
    finally:
        code = client.end()
    assert code == 0 and found["failed"] == 0, "%s: %s" % (arguments, found)
    return found


class Edges:
    """STACK closes what is started here; what the site starts is the site's."""

    def __init__(self, run, stack):
        self.run, self.origin = run, Origin()
        stack.callback(self.origin.close)
        keys = {kind: run.keys[kind] for kind in ("rsa2048", "p256")}
        self.server = run.site.start_server([key for key, _ in keys.values()], extra="workers = 1\naccess_log = off\n")
        edge = run.site.start_edge([self.server], [cert for _, cert in keys.values()], self.origin.address, extra="access_log = off",
                                   tls="rsa_key_exchange = on tickets = off", timeouts="idle = 300s").wait_epochs()
        self.ours = Ours(edge, self.server)
        self.peers, self.missing = start_all(run.folder, keys, self.origin, stack)

    @property
    def all(self):
        return [self.ours, *self.peers]

    # ---- handshakes ----

    def measure_handshakes(self):
        for name, *hello in HANDSHAKES:
            for how, parallel in PARALLEL.items():
                for server in self.all:
                    self.run.say("%s: %s, %s" % (server.name, name, how))
                    self._handshakes(server, name, how, hello, parallel)

    def _handshakes(self, server, name, how, hello, parallel):
        keys = getattr(server, "key_pids", [])
        before, key_before = machine.cpu_seconds(server.pids), machine.cpu_seconds(keys)
        count = ask("handshakes", server.port, *hello, parallel, self.run.seconds)["handshakes"]
        self.run.note(("handshake", server.name, name, how), 1e6 * (machine.cpu_seconds(server.pids) - before) / count)
        if keys:
            self.run.note(("handshake", "key server", name, how), 1e6 * (machine.cpu_seconds(keys) - key_before) / count)

    def handshake_rows(self):
        for name, _, _, _ in HANDSHAKES:
            for how in PARALLEL:
                yield from self._handshake_rows(name, how)

    def _handshake_rows(self, name, how):
        edge, key = (self.run.median(("handshake", who, name, how)) for who in ("edge", "key server"))
        nginx = self.run.median(("handshake", "nginx", name, how))
        reason = None if nginx else "nginx is not installed"
        for what, us, table in (("edge", edge, goals.EDGE), ("edge and key server", edge + key, goals.TOGETHER)):
            yield goals.row("full handshake", "%s, %s: %s" % (name, how, what), us, "µs CPU", nginx, "nginx", at_most=table[name],
                            not_applicable=reason, value=us / nginx if nginx else None)
        for peer in ("haproxy", "hitch"):
            us = self.run.median(("handshake", peer, name, how))
            if us:
                yield goals.row("full handshake", "%s, %s: %s" % (name, how, peer), us, "µs CPU", nginx, "nginx",
                                value=us / nginx if nginx else None)

    # ---- bulk ----

    def measure_bulk(self):
        _, *hello = HANDSHAKES[2]
        for server in self.all:
            self.run.say("%s: bulk" % server.name)
            before = machine.cpu_seconds(server.pids)
            found = ask("bulk", server.port, *hello, BULK_CONNECTIONS, self.run.seconds)
            self.run.note(("bulk", server.name), 1e3 * (machine.cpu_seconds(server.pids) - before) / found["megabytes"])

    def bulk_rows(self):
        others = {peer.name: self.run.median(("bulk", peer.name)) for peer in self.peers}
        best = min(others, key=others.get) if others else None
        ours = self.run.median(("bulk", "edge"))
        yield goals.row("bulk", "1 MB answers, AES128-GCM: edge", ours, "ms CPU a MB", others.get(best), "%s, the best" % best if best else "",
                        at_most=goals.BULK, not_applicable=None if best else "no other server is installed",
                        value=ours / others[best] if best else None)
        for name, ms in others.items():
            yield goals.row("bulk", "1 MB answers, AES128-GCM: %s" % name, ms, "ms CPU a MB", others[best], "%s, the best" % best,
                            value=ms / others[best])

    # ---- memory ----

    def measure_idle(self):
        """Once, and before anything else, which would leave the servers with memory to spare."""
        count = SHORT_IDLE if self.run.short else IDLE
        _, *hello = HANDSHAKES[3]
        for server in self.all:
            self.run.say("%s: %d idle connections" % (server.name, count))
            ask("hold", server.port, *hello, FIRST, 0)  # what the first connections make once and for all
            before = machine.resident_kb(server.pids)
            client = Client("hold", server.port, *hello, count, 0)
            try:
                found = client.result()
                assert found["handshakes"] == count, found
                time.sleep(0.2)  # the servers' last steps after the clients'
                self.run.note(("idle", server.name), (machine.resident_kb(server.pids) - before) / count)
            finally:
                client.end()

    def idle_rows(self):
        for server in self.all:
            ours = server is self.ours
            yield goals.row("memory", "an idle TLS 1.3 connection: %s" % server.name, self.run.median(("idle", server.name)), "KB",
                            at_most=goals.IDLE_KB if ours else None)
