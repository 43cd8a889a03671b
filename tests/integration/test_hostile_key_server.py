"""A key server that answers late, twice, with a wrong id, a wrong signature, with garbage or not at all."""
import concurrent.futures
import ssl
import subprocess
import time

import pytest

import clients
from daemon import SLOW, Daemon, program, wait_until
from fleet import Identity

KEY_SECONDS = 1 * SLOW
CASES = {  # host, (version, ciphers)
    "rsa": ("rsa.test", ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),
    "ecdhe_rsa": ("rsa.test", ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"),
    "tls13_p256": ("p256.test", ssl.TLSVersion.TLSv1_3, None),
}


class Hostile(Daemon):
    """tests/lib/peer_hostile.c between an edge and an honest key server."""

    def __init__(self, site, server):
        identity = Identity(site.folder, "hostile.key")
        super().__init__([program("tests/peer_hostile"), identity.path, site.psk_path, server.address,
                          server.identity.public, site.edge_identity.path, str(1500 * KEY_SECONDS)], stdin=subprocess.PIPE)
        self.public = identity.public
        self.address = self.wait_log(r"event=listening").split("address=")[1].split()[0]

    def mode(self, name):
        since = self.mark()
        self.process.stdin.write(name.encode() + b"\n")
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
                           timeouts="key = %ds" % KEY_SECONDS)
    yield peer, edge
    peer.stop()


def attempt(edge, pki, case):
    host, version, ciphers = CASES[case]
    try:
        return b"from the origin" in clients.fetch(edge, host, clients.context(pki.ca, version, ciphers))
    except OSError:
        return False


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("mode", ["never", "wrong_id", "wrong_bytes", "too_short", "random", "busy", "garbage", "hang_up", "late"])
def test_one_handshake_fails_and_nothing_else(hostile, pki, case, mode):
    peer, edge = hostile
    assert attempt(edge, pki, case), "\n".join(edge.lines)
    peer.mode(mode)
    begin = time.monotonic()
    assert not attempt(edge, pki, case)
    assert time.monotonic() - begin < KEY_SECONDS + 5 * SLOW
    edge.wait_log(r"event=handshake_failed")
    peer.mode("honest")
    wait_until(lambda: attempt(edge, pki, case), "handshakes work again")
    assert edge.process.poll() is None


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
