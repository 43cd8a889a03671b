"""What strangers make an edge hold for ClientHellos, complete or not, in handshakes that they do not complete."""
import contextlib
import socket
import struct

import pytest

import clients
from daemon import SLOW, rss_kb, wait_until
from relay import Relay
from tls12_client import EXTENDED_MASTER_SECRET, RECORD_MAX

COUNT = 1000 if SLOW == 1 else 200
LONG_MAX = 64  # handshakes with long ones that a thread has
FAILURES = 'keyless_edge_handshake_failures_total{reason="%s"}'
# Room for LONG_MAX of them, for those of one turn of the loop, and for what the allocator keeps. All of them would take 100 to 165 MB.
GROWTH_KB = 70 * 1024


def in_records(message):
    parts = [message[at:at + RECORD_MAX] for at in range(0, len(message), RECORD_MAX)]
    return b"".join(struct.pack(">BHH", 22, 0x0301, len(part)) + part for part in parts)


def begun(length, present):
    """The first PRESENT bytes of a ClientHello of LENGTH, in records; its body is rubbish."""
    message = (struct.pack(">I", 1 << 24 | length - 4) + b"\3\3" + bytes(length))[:present]
    return in_records(message)


def extension(number, body):
    return struct.pack(">HH", number, len(body)) + body


def complete():
    """A whole ClientHello of 61 KB, with lists that OpenSSL keeps; it offers one suite that the edge serves."""
    lists = {10: b"\0\x1d\0\x17" * 3900, 13: b"\4\3\4\1" * 3700, 16: b"\2h2\x08http/1.1" * 1200}
    extensions = b"".join(extension(number, struct.pack(">H", len(body)) + body) for number, body in lists.items())
    suites = b"\xc0\x2b" + b"\x5a\x5a" * 8000
    extensions += extension(EXTENDED_MASTER_SECRET, b"")
    body = b"\3\3" + bytes(32) + b"\0" + struct.pack(">H", len(suites)) + suites + b"\1\0" + struct.pack(">H", len(extensions)) + extensions
    return in_records(struct.pack(">I", 1 << 24 | len(body)) + body)


class Bench:
    """An edge with one thread, and what is between it and its key server."""

    def __init__(self, site, pki, origin):
        server = site.start_server([pki.p256[0]])
        self.relay = Relay(server.host, server.port)
        self.edge = site.start_edge([(self.relay.address, server.identity.public)], [pki.p256[1]], origin.address, threads=1,
                                    timeouts="handshake = 60s key = 60s", extra="access_log = off")
        self.edge.wait_grants()
        self.before = rss_kb(self.edge.pid)
        self.raws = []

    def close(self):
        for raw in self.raws:
            raw.close()
        self.relay.close()

    def failed(self, reason):
        return self.edge.admin.metric(FAILURES % reason)

    def crowd(self, first, reason, fail):
        """COUNT connections that say FIRST: FAIL handshakes fail for REASON, and no other."""
        for _ in range(COUNT):
            self.raws.append(socket.create_connection((self.edge.host, self.edge.port), timeout=20 * SLOW))
            with contextlib.suppress(ConnectionError):  # it may be over before all is sent
                self.raws[-1].sendall(first)
        wait_until(lambda: self.failed(reason) >= fail, "%d failures" % fail)
        assert self.failed(".*") == self.failed(reason) == fail
        wait_until(lambda: self.edge.admin.metric("keyless_edge_connections_active") == COUNT - fail, "the rest to be open")
        grown = rss_kb(self.edge.pid) - self.before
        print("%d ClientHellos, %d bytes of each sent: %d KB" % (COUNT, len(first), grown))
        assert SLOW > 1 or grown < GROWTH_KB


@pytest.fixture
def bench(site, pki, origin):
    bench = Bench(site, pki, origin)
    yield bench
    bench.close()


@pytest.mark.parametrize("length, present, reason, fail", [
    (63 * 1024, 100, "hello_displaced", COUNT - LONG_MAX), (63 * 1024, 63000, "hello_displaced", COUNT - LONG_MAX),
    (131000, 100, "hello_too_long", COUNT), (131000, 40000, "hello_too_long", COUNT)])
def test_long_ones_that_stall_take_bounded_memory(bench, pki, length, present, reason, fail):
    bench.crowd(begun(length, present), reason, fail)
    assert b"from the origin" in clients.fetch(bench.edge, "p256.test", clients.context(pki.ca))


@pytest.mark.parametrize("stalls", ["the client", "the key server"])
def test_complete_ones_take_bounded_memory(bench, pki, stalls):
    if stalls == "the key server":
        bench.relay.stall()
    bench.crowd(complete(), "hello_displaced", COUNT - LONG_MAX)
    waiting = LONG_MAX if stalls == "the key server" else 0
    wait_until(lambda: bench.edge.admin.metric("keyless_edge_handshakes_waiting_for_key") == waiting, "%d to wait" % waiting)
    bench.relay.resume()
    assert b"from the origin" in clients.fetch(bench.edge, "p256.test", clients.context(pki.ca))
    assert bench.raws[-1].recv(3) == b"\x16\3\3"  # the newest have their answer
