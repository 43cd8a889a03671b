"""Key servers that are away, die or come back: new handshakes fail in time or go elsewhere, resumed ones always work."""
import concurrent.futures
import os
import signal
import ssl
import time

import pytest

import clients
from daemon import SLOW, wait_until
from relay import Relay

KEY_SECONDS = 2 * SLOW
TIMEOUTS = "key = %ds" % KEY_SECONDS
NEW = "AES128-GCM-SHA256"


def rsa_client(pki):
    return clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, NEW)


def attempt(edge, pki, name="rsa.test"):
    """True when a full RSA handshake and a page came through."""
    try:
        return b"from the origin" in clients.fetch(edge, name, rsa_client(pki))
    except OSError:
        return False


def test_down_at_start_then_there(site, pki, origin):
    identity, config, folder = site.server_folder([pki.rsa[0]])
    probe = site.restart_server(folder, identity, config)
    address = probe.address
    probe.stop()
    edge = site.start_edge([(address, identity.public)], [pki.rsa[1]], origin.address, ready=False, timeouts=TIMEOUTS)
    edge.wait_log(r"event=key_server_connect_failed")
    assert edge.admin.get("/ready")[0] == 503
    assert edge.admin.get("/live")[0] == 200
    begin = time.monotonic()
    assert not attempt(edge, pki)
    assert time.monotonic() - begin < KEY_SECONDS + 3 * SLOW
    edge.wait_log(r"event=handshake_failed.*key_")
    edge.admin.wait_metric(r"keyless_edge_handshake_failures_total.*key")
    with open(config) as handle:
        text = handle.read().replace("127.0.0.1:0", address, 1)
    with open(config, "w") as handle:
        handle.write(text)
    site.restart_server(folder, identity, config)
    edge.wait_ready()
    assert attempt(edge, pki)


def test_killed_during_handshakes_then_restarted(site, pki, origin, tmp_path):
    server = site.start_server([pki.rsa[0]])
    relay = Relay(server.host, server.port, delay=0.2)
    edge = site.start_edge([(relay.address, server.identity.public)], [pki.rsa[1]], origin.address, timeouts=TIMEOUTS)
    session = str(tmp_path / "session")
    ok, text = clients.s_client(edge, "rsa.test", pki.ca, "-tls1_2", "-cipher", NEW, session_out=session)
    assert ok, text
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(attempt, edge, pki) for _ in range(20)]
        edge.admin.wait_metric(r"keyless_edge_handshakes_waiting", 20)
        since = edge.mark()
        for pid in list(server.children().values()) + [server.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        begin = time.monotonic()
        results = [w.result() for w in waiting]
        assert time.monotonic() - begin < KEY_SECONDS + 5 * SLOW
    server.wait_exit()
    site.daemons.remove(server)
    assert not all(results)
    edge.wait_log(r"event=key_server_lost", since)
    edge.wait_log(r"event=handshake_failed", since)
    ok, text = clients.s_client(edge, "rsa.test", pki.ca, "-tls1_2", "-cipher", NEW, session_in=session)
    assert ok and "Reused, " in text, text
    again = site.restart_server(server.folder, server.identity, server.config)
    relay.target = (again.host, again.port)
    edge.wait_ready()
    assert attempt(edge, pki)
    relay.close()


def test_two_key_servers_one_dies_under_load_none_fails(site, pki, origin):
    first, second = site.start_server([pki.rsa[0]]), site.start_server([pki.rsa[0]])
    edge = site.start_edge([first, second], [pki.rsa[1]], origin.address, timeouts="key = %ds" % (5 * SLOW))
    wait_until(lambda: edge.admin.metric(r"keyless_edge_key_server_channels\{") == 2, "both connected")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running = [pool.submit(attempt, edge, pki) for _ in range(120)]
        wait_until(lambda: sum(r.done() for r in running) > 20, "some handshakes are done")
        for pid in list(first.children().values()) + [first.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        assert all(r.result() for r in running)
    first.wait_exit()
    site.daemons.remove(first)


def test_two_key_servers_one_stalls_none_fails(site, pki, origin):
    first, second = site.start_server([pki.rsa[0]]), site.start_server([pki.rsa[0]])
    relay = Relay(first.host, first.port)
    edge = site.start_edge([(relay.address, first.identity.public), second], [pki.rsa[1]], origin.address,
                           timeouts="key = %ds" % (4 * SLOW))
    wait_until(lambda: edge.admin.metric(r"keyless_edge_key_server_channels\{") == 2, "both connected")
    relay.stall()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: attempt(edge, pki), range(40)))
    relay.close()


def test_vault_is_killed_and_comes_back(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=TIMEOUTS)
    assert attempt(edge, pki)
    since = server.mark()
    vault = [pid for name, pid in server.children().items() if "vault" in name]
    assert len(vault) == 1
    os.kill(vault[0], signal.SIGKILL)
    server.wait_log(r"event=child_died", since)
    server.wait_log(r"event=vault_ready cause=restart", since)
    wait_until(lambda: attempt(edge, pki), "handshakes work again")


def test_net_process_is_killed_and_comes_back_on_the_same_port(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=TIMEOUTS)
    assert attempt(edge, pki)
    since = server.mark()
    os.kill([pid for name, pid in server.children().items() if "net" in name][0], signal.SIGKILL)
    server.wait_log(r"event=child_died", since)
    wait_until(lambda: attempt(edge, pki), "handshakes work again")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_key_server_drains_and_exits_0(site, pki, origin, number):
    """What is being computed when the signal comes is still answered."""
    server = site.start_server([pki.rsa4096[0]])
    edge = site.start_edge([server], [pki.rsa4096[1]], origin.address, timeouts="key = %ds" % (10 * SLOW))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        running = [pool.submit(attempt, edge, pki, "rsa4096.test") for _ in range(16)]
        wait_until(lambda: edge.admin.metric(r"keyless_edge_handshakes_waiting") >= 1 or any(r.done() for r in running),
                   "requests are on their way")
        assert server.stop(number) == 0
        for r in running:
            r.result()
    site.daemons.remove(server)


def test_edge_drains_and_exits_0(site, pki, origin):
    """A connection that is open when SIGTERM comes gets its page; then the edge ends by itself."""
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address)
    connection = clients.connect(edge, "rsa.test", rsa_client(pki))
    edge.send_signal(signal.SIGTERM)
    edge.wait_log(r"event=draining")
    connection.sendall(clients.REQUEST)
    assert b"from the origin" in clients.read_all(connection)
    connection.close()
    assert edge.wait_exit() == 0
    site.daemons.remove(edge)
