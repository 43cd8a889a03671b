"""A key server far away, behind a relay that delays: what a handshake takes, and what many cost that wait at once."""
import time

import edge
import goals
import machine
from daemon import wait_until
from peers import FILES
from relay import Relay

RTT_MS, SHORT_RTT_MS = (10, 50, 100), (10,)
SHORT_WAITING = 1000
WAITING_RTT_MS = 100
HELLO = ("p256", "1.3", "-")


class Far:
    def __init__(self, run):
        self.run = run
        self.waiting = SHORT_WAITING if run.short else min(goals.WAITING, FILES - 500)
        self.server = run.site.start_server([run.keys["p256"][0]], extra="access_log = off\n")

    def _edge(self, rtt_ms):
        relay = Relay(self.server.host, self.server.port, delay=rtt_ms / 2e3)
        return relay, self.run.site.start_edge([(relay.address, self.server.identity.public)], [self.run.keys["p256"][1]], "127.0.0.1:1",
                                               threads=1, timeouts="handshake = 120s key = 60s", tls="tickets = off", extra="access_log = off")

    def measure(self):
        for rtt in SHORT_RTT_MS if self.run.short else RTT_MS:
            self.run.say("handshakes with a key server %d ms away" % rtt)
            relay, started = self._edge(rtt)
            found = edge.ask("handshakes", started.port, *HELLO, 1, max(0.5, self.run.seconds))
            self.run.note(("rtt", rtt), found["p50_ms"])
            self._stop(started, relay)

    def measure_waiting(self):
        """All of them have sent their ClientHello before the first answer may come, so that they do wait at once."""
        self.run.say("%d handshakes wait for a key server %d ms away" % (self.waiting, WAITING_RTT_MS))
        relay, started = self._edge(WAITING_RTT_MS)
        before = machine.resident_kb([started.pid])
        relay.stall()
        client = edge.Client("wait", started.port, *HELLO, self.waiting, 0)
        try:
            wait_until(lambda: started.admin.metric("keyless_edge_handshakes_waiting") >= self.waiting,
                       "%d handshakes that wait" % self.waiting, 120)
            self.run.note("waiting KB", (machine.resident_kb([started.pid]) - before) / self.waiting)
            begun = time.monotonic()
            relay.resume()
            found = client.result()
            self.run.note("waiting completed", found["handshakes"])
            self.run.note("waiting seconds", time.monotonic() - begun)
        finally:
            client.end()
        self._stop(started, relay)

    def _stop(self, started, relay):
        self.run.site.daemons.remove(started)
        started.stop(seconds=60)
        relay.close()

    def rows(self):
        for rtt in SHORT_RTT_MS if self.run.short else RTT_MS:
            yield goals.row("distance", "TLS 1.3 handshake, key server %d ms away, p50" % rtt, self.run.median(("rtt", rtt)), "ms", rtt,
                            "the round trip")
        reason = None
        if self.waiting < goals.WAITING:
            reason = "a short run" if self.run.short else "no more files may be open here (ulimit -Hn)"
        completed, took = self.run.median("waiting completed"), self.run.median("waiting seconds")
        yield goals.row("distance", "%d handshakes at once, key server %d ms away, one thread: completed" % (self.waiting, WAITING_RTT_MS),
                        completed, "in %.1f s" % took, at_least=goals.WAITING, not_applicable=reason)
        yield goals.row("distance", "each of %d handshakes that wait at once, resident" % self.waiting, self.run.median("waiting KB"), "KB",
                        at_most=goals.WAITING_KB, not_applicable=reason)
