"""A key server that answers late, twice, with a wrong id, a wrong signature, with garbage or not at all."""
import concurrent.futures
import re
import ssl
import subprocess
import time

import pytest

import clients
from daemon import SLOW, Daemon, program, wait_until
from fleet import Identity

KEY_SECONDS = 2 * SLOW
CASES = {  # host, (version, ciphers)
    "rsa": ("rsa.test", ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),
    "ecdhe_rsa": ("rsa.test", ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"),
    "tls13_p256": ("p256.test", ssl.TLSVersion.TLSv1_3, None),
}
# What the edge gives as the reason. Where a lost channel is the cause it asks again on the next one, which is lost as well.
LOST = "key_(unavailable|timeout)"
REASONS = {
    "never": dict.fromkeys(CASES, "key_timeout"),
    "wrong_id": dict.fromkeys(CASES, "key_timeout"),
    "late": dict.fromkeys(CASES, "key_timeout"),
    "busy": dict.fromkeys(CASES, "key_busy"),
    "garbage": dict.fromkeys(CASES, LOST),
    "hang_up": dict.fromkeys(CASES, LOST),
    "too_short": {"rsa": "key_unavailable", "ecdhe_rsa": "key_invalid", "tls13_p256": "key_invalid"},
    # No edge can tell a wrong secret; ECDSA signatures of the right form are left for the client to check.
    "wrong_bytes": {"rsa": "tls", "ecdhe_rsa": "key_invalid", "tls13_p256": "tls"},
    "random": {"rsa": "tls", "ecdhe_rsa": "key_invalid", "tls13_p256": "key_invalid"},
}
# What counts the bad answer itself, where there is one.
COUNTERS = {
    ("wrong_id", "rsa"): "key_server_stray_answers_total",
    ("too_short", "rsa"): "key_server_malformed_answers_total",
    ("too_short", "ecdhe_rsa"): 'key_operations_rejected_total{reason="length"}',
    ("wrong_bytes", "ecdhe_rsa"): 'key_operations_rejected_total{reason="signature"}',
    ("random", "tls13_p256"): 'key_operations_rejected_total{reason="length"}',
    ("never", "rsa"): "key_server_timeouts_total",
    ("garbage", "rsa"): "key_server_channels_lost_total",
}
KEEP_ALIVE = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Hostile(Daemon):
    """tests/lib/peer_hostile.c between an edge and an honest key server."""

    def __init__(self, site, server):
        identity = Identity(site.folder, "hostile.key")
        super().__init__([program("tests/peer_hostile"), identity.path, site.psk_path, server.address,
                          server.identity.public, site.edge_identity.path, str(1500 * KEY_SECONDS)], stdin=subprocess.PIPE)
        self.public = identity.public
        self.address = self.wait_log(r"event=listening").split("address=")[1].split()[0]

    def mode(self, name, count=None):
        """From now on every answer is treated so, or the next COUNT of them."""
        since = self.mark()
        self.process.stdin.write((name if count is None else "%s %d" % (name, count)).encode() + b"\n")
        self.process.stdin.flush()
        self.wait_log(r"event=mode mode=%s$" % name, since)

    def stop(self):
        self.process.stdin.close()
        return self.wait_exit()


@pytest.fixture
def hostile(site, pki, origin):
    """(peer, edge): an edge whose only key server is the hostile one."""
    peer = Hostile(site, site.start_server([pki.rsa[0], pki.p256[0]]))
    edge = site.start_edge([(peer.address, peer.public)], [pki.rsa[1], pki.p256[1]], origin.address,
                           timeouts="key = %ds handshake = %ds" % (KEY_SECONDS, 3 * KEY_SECONDS))
    yield peer, edge
    assert peer.stop() == 0, "\n".join(peer.lines)


def attempt(edge, pki, case):
    host, version, ciphers = CASES[case]
    try:
        return b"from the origin" in clients.fetch(edge, host, clients.context(pki.ca, version, ciphers))
    except OSError:
        return False


def another_page(connection):
    connection.sendall(KEEP_ALIVE)
    page = b""
    while b"from the origin" not in page:
        data = connection.recv(65536)
        assert data, "the connection ended"
        page += data


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("mode", REASONS)
def test_one_handshake_fails_and_nothing_else(hostile, pki, case, mode):
    peer, edge = hostile
    host, version, ciphers = CASES[case]
    with clients.connect(edge, host, clients.context(pki.ca, version, ciphers)) as established:
        another_page(established)
        counter = "keyless_edge_" + COUNTERS.get((mode, case), 'handshake_failures_total{reason="')
        before = edge.admin.metric("^" + re.escape(counter))
        peer.mode(mode)
        begin = time.monotonic()
        assert not attempt(edge, pki, case)
        assert time.monotonic() - begin < KEY_SECONDS + 5 * SLOW
        line = edge.wait_log(r"event=handshake_failed")
        assert re.search(r"reason=%s " % REASONS[mode][case], line), line
        assert edge.admin.metric("^" + re.escape(counter)) > before
        another_page(established)
        peer.mode("honest")
        wait_until(lambda: attempt(edge, pki, case), "handshakes work again")
        another_page(established)
    assert edge.process.poll() is None


@pytest.mark.parametrize("mode", REASONS)
def test_the_handshakes_beside_it_do_not_notice(hostile, pki, mode):
    """Of many that wait on the same channel, the one with the bad answer fails; a lost channel is replaced in time for all."""
    peer, edge = hostile
    tls = clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, clients.RSA_KX)
    peer.mode(mode, 1)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: handshake(edge, tls), range(32)))
    assert results.count(False) == (0 if REASONS[mode]["rsa"] == LOST else 1), "\n".join(edge.lines)


def handshake(edge, tls):
    try:
        clients.connect(edge, "rsa.test", tls).close()
        return True
    except OSError:
        return False


def test_a_handshake_that_ends_before_its_key_operation_blames_the_key(site, pki, origin):
    """Its answer comes after the session is gone."""
    peer = Hostile(site, site.start_server([pki.rsa[0]]))
    edge = site.start_edge([(peer.address, peer.public)], [pki.rsa[1]], origin.address,
                           timeouts="key = 60s handshake = %ds" % SLOW)
    wait_until(lambda: attempt(edge, pki, "rsa"), "a handshake: no other waits for an epoch after it")
    peer.mode("late")
    assert not attempt(edge, pki, "rsa")
    edge.wait_log(r"event=handshake_failed .*reason=key_timeout state=wait_key ")
    edge.admin.wait_metric(r"keyless_edge_key_server_stray_answers_total", 1)
    peer.mode("honest")
    assert attempt(edge, pki, "rsa"), "\n".join(edge.lines)
    assert peer.stop() == 0, "\n".join(peer.lines)


@pytest.mark.parametrize("case", CASES)
def test_an_answer_that_comes_twice_is_taken_once(hostile, pki, case):
    peer, edge = hostile
    peer.mode("twice")
    assert all(attempt(edge, pki, case) for _ in range(5))
    edge.admin.wait_metric(r"keyless_edge_key_server_stray_answers_total", 5)


def test_a_late_answer_reaches_nobody(hostile, pki):
    """Handshakes after the late one get their own answers while its answer is still to come."""
    peer, edge = hostile
    peer.mode("late")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        late = [pool.submit(attempt, edge, pki, "rsa") for _ in range(8)]
        edge.admin.wait_metric(r"keyless_edge_handshakes_waiting", 8)
        wait_until(lambda: peer.process.poll() is None and edge.admin.metric(r"keyless_edge_handshakes_waiting") == 0,
                   "the late ones have given up", 20 * SLOW)
        peer.mode("honest")
        assert all(attempt(edge, pki, "rsa") for _ in range(10))
        assert not any(r.result() for r in late)
        edge.admin.wait_metric(r"keyless_edge_key_server_stray_answers_total", 8)
