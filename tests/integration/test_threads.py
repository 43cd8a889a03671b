"""Every thread of both daemons at once. What it proves, it proves in a build for the thread sanitizer (SAN=thread): there a
report ends a daemon with a status that Site.close() does not accept."""
import concurrent.futures
import signal
import ssl

import pytest

import clients
from daemon import wait_until

VISITS = 320
AT_ONCE = 16
T12, T13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
MIX = [("rsa.test", T12, clients.RSA_KX), ("rsa.test", T12, "ECDHE-RSA-AES128-GCM-SHA256"), ("rsa.test", T13, None),
       ("p256.test", T12, "ECDHE-ECDSA-AES128-GCM-SHA256"), ("p256.test", T13, None), ("ed25519.test", T13, None)]


@pytest.fixture
def busy(site, pki, origin):
    """A key server with four workers and an edge with four threads."""
    keys = [pki.rsa, pki.p256, pki.ed25519]
    server = site.start_server([key for key, _ in keys], extra="workers = 4")
    edge = site.start_edge([server], [cert for _, cert in keys], origin.address, threads=4,
                           timeouts="key = 20s handshake = 60s")
    wait_until(lambda: edge.admin.metric(r"keyless_edge_key_server_channels\{") == 4, "a channel of every thread")
    site.server, site.edge = server, edge
    return site


def visit(edge, pki, number):
    """Client NUMBER: one of every kind in turn; every third resumes the session it has just had. True if all came as it should."""
    name, version, ciphers = MIX[number % len(MIX)]
    tls, session = clients.context(pki.ca, version, ciphers), None
    for wanted in [False, True] if number % 3 == 0 else [False]:
        with clients.connect(edge, name, tls, session=session) as connection:
            connection.sendall(clients.REQUEST)
            if b"from the origin" not in clients.read_all(connection) or connection.session_reused != wanted:
                return False
            session = connection.session
    return True


def visits(edge, pki):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda number: visit(edge, pki, number), range(VISITS)))


def test_mixed_handshakes_from_many_clients(busy, pki):
    """All succeed, while both admin endpoints are read all along."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(visits, busy.edge, pki)
        while not running.done():
            for daemon in (busy.edge, busy.server):
                assert daemon.admin.metrics() and daemon.admin.status()
        assert running.result() == [True] * VISITS
    full = busy.edge.admin.metric(r'keyless_edge_handshakes_total\{kind="(rsa|ecdhe|tls13)')
    answers = busy.server.admin.metric(r'keyless_server_answers_total\{operation="(rsa|sign)_.*status="ok"')
    assert full == answers == VISITS


def test_a_reload_of_the_key_server_under_load(busy, pki):
    """A new vault takes over from the one whose workers are busy; no handshake notices."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(visits, busy.edge, pki)
        for _ in range(3):
            since = busy.server.mark()
            busy.server.send_signal(signal.SIGHUP)
            busy.server.wait_log(r"event=vault_ready cause=reload", since)
        assert running.result() == [True] * VISITS


def test_both_drain_under_load(busy, pki):
    """Every thread stops while it is at work: both end with 0, and every client that was let in gets its page."""
    def one(number):
        try:
            return visit(busy.edge, pki, number)
        except (OSError, ssl.SSLError):
            return None  # the edge has stopped listening

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(one, number) for number in range(VISITS)]
        wait_until(lambda: sum(r.done() for r in running) > VISITS / 4, "some clients are through")
        assert busy.edge.stop() == 0
        assert busy.server.stop() == 0
    done = [r.result() for r in running]
    assert True in done and False not in done
