"""Bound mode: handshakes that come before their epoch."""
import concurrent.futures
import os
import re
import signal
import socket
import ssl
import time

import pytest

import clients
from bound_mode import BOTH, BOUND, MODE, PATIENT, WAITING, Counted, start, tls
from daemon import SLOW, wait_until
from fleet import keyless, write

WAITS = "keyless_edge_rsa_epoch_waits_total"


# ---- handshakes that come before their epoch ----

class Frozen:
    """A key server whose vault does not run, and an edge that has its hello and no word about epochs."""

    def __init__(self, site, pki, origin, options=BOUND, timeouts=PATIENT):
        self.server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=options))
        self.vault = [pid for name, pid in self.server.children().items() if "vault" in name][0]
        os.kill(self.vault, signal.SIGSTOP)
        self.edge = site.start_edge([self.server], [pki.rsa[1]], origin.address, timeouts=timeouts)
        self.pool = concurrent.futures.ThreadPoolExecutor(1)

    def begin(self, function, *arguments):
        """Calls FUNCTION in a thread, and returns when its handshake waits; its result comes later."""
        result = self.pool.submit(function, *arguments)
        self.edge.admin.wait_metric(WAITING)
        return result

    def go_on(self):
        os.kill(self.vault, signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go_on()
        self.pool.shutdown()


def test_an_edge_that_starts_before_its_key_server_binds_whom_came_meanwhile(site, pki, origin):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=BOUND))
    assert server.stop() == 0
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, ready=False, timeouts=PATIENT)
    with concurrent.futures.ThreadPoolExecutor(2) as pool, Counted(edge) as counted:
        pages = [pool.submit(clients.fetch, edge, "rsa.test", tls(pki)) for _ in range(2)]
        edge.admin.wait_metric(WAITING, 2)
        begun = time.monotonic()
        edge.wait_log(r"event=key_server_connect_failed", edge.mark())
        waited = time.monotonic() - begun
        server = site.bring_back(server)
        assert all(b"from the origin" in page.result() for page in pages)
        assert counted == {"bound": 2}
    assert edge.admin.metric(WAITS) == 2
    edge.wait_log(r"event=connection .*kind=rsa ", count=2)
    for line in edge.find(r"event=connection "):
        assert int(re.search(r"key_us=(\d+)", line).group(1)) >= waited * 1e6
    assert server.admin.metric(r'answers_total\{operation="rsa_master",status="ok"') == 2


def test_a_handshake_waits_for_a_vault_that_stands_still(site, pki, origin):
    with Frozen(site, pki, origin) as frozen, Counted(frozen.edge) as counted:
        page = frozen.begin(clients.fetch, frozen.edge, "rsa.test", tls(pki))
        assert frozen.edge.admin.metric(r'keyless_edge_key_server_requests_total\{.*operation="rsa') == 0
        frozen.go_on()
        assert b"from the origin" in page.result()
        assert counted == {"bound": 1}
        assert frozen.edge.admin.metric(WAITS) == 1
        assert b"from the origin" in clients.fetch(frozen.edge, "rsa.test", tls(pki))
        assert counted == {"bound": 2}
        assert frozen.edge.admin.metric(WAITS) == 1
        assert frozen.edge.admin.metric(MODE % "no_epoch") == 0


def test_where_rsa_master_is_not_granted_nobody_waits(site, pki, origin):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options="ops=rsa_premaster"))
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=PATIENT)
    assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))  # it may have come before the word
    with Counted(edge, server) as counted:
        waits = edge.admin.metric(WAITS)
        for _ in range(5):
            assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
        assert counted == {"plain": 5, "rsa_premaster": 5}
        assert edge.admin.metric(WAITS) == waits


def is_counted_as(edge, pki, kind):
    with Counted(edge) as counted:
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
        return counted == {kind: 1}


def test_rsa_master_may_be_taken_away_and_given_again(site, pki, origin):
    (server,), edge = start(site, pki, origin, options=BOTH, timeouts=PATIENT)
    for options, kind in (("ops=rsa_premaster", "plain"), (BOTH, "bound")):
        write(server.folder + "/authorized_edges", site.authorized_line(options=options))
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: (edge.admin.metric(r"keyless_edge_key_server_epoch\{") > 0) == (kind == "bound"), kind)
        wait_until(lambda: is_counted_as(edge, pki, kind), kind)  # the edge hears of epoch and grant one after the other
    assert edge.admin.metric(WAITS) == 0


@pytest.mark.parametrize("options", [BOUND, BOTH], ids=["bound", "both"])
def test_when_no_epoch_comes_in_time_the_session_is_plain(site, pki, origin, options):
    """Where only bound mode is granted that is refused, but the cause is the time."""
    seconds = 2 * SLOW
    with Frozen(site, pki, origin, options, "key = %ds handshake = %ds" % (seconds, 20 * seconds)) as frozen, Counted(frozen.edge) as counted:
        begun = time.monotonic()
        with frozen.begin(clients.Held, frozen.edge, "rsa.test", tls(pki)).result() as held:
            assert time.monotonic() - begun >= seconds
            frozen.go_on()
            frozen.edge.wait_epochs()
            held.go_on()
            if options == BOTH:
                assert b"from the origin" in held.finish()
            else:
                with pytest.raises(ssl.SSLError, match="DECRYPT_ERROR"):
                    held.finish()
                line = frozen.edge.wait_log(r"event=handshake_failed .*reason=key_timeout .*key_status=refused .*rsa=no_epoch")
                assert int(re.search(r"key_us=(\d+)", line).group(1)) >= seconds * 1e6
        assert counted == ({"plain": 1} if options == BOTH else {})
        assert frozen.edge.admin.metric(MODE % "no_epoch") == 1


def test_clients_without_extended_master_secret_wait_for_no_epoch(site, pki, origin):
    with Frozen(site, pki, origin, BOTH) as frozen, Counted(frozen.edge) as counted:
        page = frozen.begin(clients.fetch, frozen.edge, "rsa.test", tls(pki, clients.NO_EXTENDED_MASTER_SECRET))
        frozen.edge.admin.wait_metric(r'keyless_edge_key_server_requests_total\{server="ks1",operation="rsa_premaster"')  # it asks already
        frozen.go_on()
        assert b"from the origin" in page.result()
        assert counted == {"plain": 1, "no_ems": 1}
        assert frozen.edge.admin.metric(WAITS) == 0


def test_the_handshake_timeout_holds_while_it_waits_for_an_epoch(site, pki, origin):
    with Frozen(site, pki, origin, timeouts="key = 60s handshake = %ds" % (2 * SLOW)) as frozen:
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            frozen.begin(clients.fetch, frozen.edge, "rsa.test", tls(pki)).result()
        frozen.edge.wait_log(r"event=handshake_failed .*reason=key_timeout state=wait_key .*key_status=- .*rsa=-")
        wait_until(lambda: frozen.edge.admin.metric("keyless_edge_connections_active") == 0, "every session freed")


def test_clients_that_leave_while_they_wait_for_an_epoch(site, pki, origin):
    with Frozen(site, pki, origin) as frozen:
        edge, left = frozen.edge, []
        for _ in range(50):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            with pytest.raises(ssl.SSLWantReadError):
                tls(pki).wrap_bio(incoming, outgoing, server_hostname="rsa.test").do_handshake()
            left.append(socket.create_connection((edge.host, edge.port)))
            left[-1].sendall(outgoing.read())
        edge.admin.wait_metric(WAITING, 50)
        for raw in left:
            clients.reset(raw)
        wait_until(lambda: edge.admin.metric("keyless_edge_connections_active") == 0, "every session freed")
        assert edge.admin.metric(WAITING) == 0
        assert edge.admin.metric(r'keyless_edge_handshake_failures_total\{reason="client_gone"') == 50
        assert edge.admin.metric(r"keyless_edge_rsa_key_exchanges_total") == 0
        frozen.go_on()
        edge.wait_epochs()
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))


def test_trace_shows_the_wait_for_an_epoch(site, pki, origin):
    with Frozen(site, pki, origin) as frozen:
        admin = frozen.edge.admin
        done = frozen.begin(keyless, "trace", "--cipher", "kRSA", "--ca", pki.ca, "--admin", "%s:%d" % (admin.host, admin.port), "--connect",
                            "127.0.0.1:%d" % frozen.edge.port, "https://rsa.test/")
        frozen.go_on()
        text = done.result().stdout
        assert re.search(r" ClientHello .*\n.*no key server has announced an epoch yet\n.*goes on, \d+\.\d+ ms later\n.* ServerHello ", text), text
        assert re.search(r"edge → key server 'ks1' +rsa_master", text), text
