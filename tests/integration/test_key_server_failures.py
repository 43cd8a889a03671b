"""Key servers that are away, die or come back: new handshakes fail in time or go elsewhere, resumed ones always work."""
import concurrent.futures
import os
import signal
import ssl
import threading
import time

import pytest

import clients
from daemon import SLOW, wait_until
from relay import Relay

KEY_SECONDS = 2 * SLOW
NEW = "AES128-GCM-SHA256"


def timeouts(key_seconds):
    """The time for a key and, with room to spare, for the whole handshake: what is measured shall be the first."""
    return "key = %ds handshake = %ds" % (key_seconds, 4 * key_seconds)


TIMEOUTS = timeouts(KEY_SECONDS)


def rsa_client(pki):
    return clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, NEW)


def attempt(edge, pki, name="rsa.test"):
    """True when a full RSA handshake and a page came through."""
    try:
        return b"from the origin" in clients.fetch(edge, name, rsa_client(pki))
    except OSError:
        return False


def kill_whole(server):
    """As when the machine goes: supervisor, vault and net process at once."""
    for pid in list(server.children().values()) + [server.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it dies with its parent
    server.wait_exit()


def kill_child(server, word):
    pids = [pid for name, pid in server.children().items() if word in name]
    assert len(pids) == 1, server.children()
    os.kill(pids[0], signal.SIGKILL)


class Load:
    """Full handshakes, eight at any time, for as long as the block runs; every one must come through."""

    def __init__(self, edge, pki):
        self.edge, self.pki = edge, pki
        self.good, self.bad, self.over = 0, 0, False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run) for _ in range(8)]

    def _run(self):
        while not self.over:
            good = attempt(self.edge, self.pki)
            with self.lock:
                self.good, self.bad = self.good + good, self.bad + (not good)

    def wait_more(self, count):
        """COUNT more handshakes, and those that were open at the call."""
        end = self.good + self.bad + count + len(self.threads)
        wait_until(lambda: self.good + self.bad >= end, "%d more handshakes" % count)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.over = True
        for thread in self.threads:
            thread.join()
        if kind is None:
            assert self.bad == 0, "%d of %d failed; the edge's log:\n%s" % (
                self.bad, self.good + self.bad, "\n".join(self.edge.find("event=(handshake_failed|key_server)")))


def channels(edge):
    return edge.admin.metric(r"keyless_edge_key_server_channels\{")


def key_failures(edge):
    """What the edge counts as handshakes that failed for want of a key."""
    return edge.admin.metric(r'keyless_edge_handshake_failures_total\{reason="key_')


def session_file(edge, pki, tmp_path, version, *options):
    """A session of RSA.TEST, kept by openssl; returns the options that resume it."""
    path = str(tmp_path / ("session" + version))
    ok, text = clients.s_client(edge, "rsa.test", pki.ca, version, *options, session_out=path)
    assert ok, text
    return (version, *options), path


def assert_resumes(edge, pki, options, path):
    ok, text = clients.s_client(edge, "rsa.test", pki.ca, *options, session_in=path)
    assert ok and "Reused, " in text, text


def test_down_at_start_then_there(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    server.stop()
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, ready=False, timeouts=TIMEOUTS)
    edge.wait_log(r'event=key_server_connect_failed.*error="Connection refused"')
    assert edge.admin.get("/ready")[0] == 503
    assert edge.admin.get("/live")[0] == 200
    begin = time.monotonic()
    assert not attempt(edge, pki)
    assert time.monotonic() - begin < 2 * KEY_SECONDS + 3 * SLOW  # for an epoch, then for the key
    edge.wait_log(r"event=handshake_failed.*reason=key_unavailable.*error=\"no key server is connected")
    assert key_failures(edge) == 1
    site.bring_back(server)
    edge.wait_ready()
    assert attempt(edge, pki)
    assert key_failures(edge) == 1


def test_killed_during_handshakes_then_restarted(site, pki, origin, tmp_path):
    server = site.start_server([pki.rsa[0]])
    relay = Relay(server.host, server.port, delay=0.2)
    edge = site.start_edge([(relay.address, server.identity.public)], [pki.rsa[1]], origin.address, timeouts=TIMEOUTS)
    sessions = [session_file(edge, pki, tmp_path, "-tls1_2", "-cipher", NEW), session_file(edge, pki, tmp_path, "-tls1_3")]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(attempt, edge, pki) for _ in range(20)]
        edge.admin.wait_metric(r"keyless_edge_handshakes_waiting", 20)
        since, before = edge.mark(), key_failures(edge)
        kill_whole(server)
        begin = time.monotonic()
        results = [w.result() for w in waiting]
        assert time.monotonic() - begin < KEY_SECONDS + 5 * SLOW
    failed = results.count(False)
    assert failed > 0
    edge.wait_log(r"event=key_server_lost", since)
    edge.wait_log(r'event=handshake_failed.*reason=key_(unavailable|timeout).*error="no key server', since)
    assert key_failures(edge) - before == failed
    assert not attempt(edge, pki)
    wait_until(lambda: key_failures(edge) - before == failed + 1, "the failure is counted")  # the client hears of it first
    for session in sessions:
        assert_resumes(edge, pki, *session)
    site.bring_back(server)
    edge.wait_ready()
    assert attempt(edge, pki)
    relay.close()


@pytest.mark.parametrize("hurt, comes_back", [
    (kill_whole, False),
    (lambda server: server.stop(signal.SIGTERM), False),
    (lambda server: kill_child(server, "vault"), True),
    (lambda server: kill_child(server, "net"), True),
], ids=["machine", "stopped", "vault", "net"])
def test_two_key_servers_die_one_by_one_under_load_none_fails(site, pki, origin, hurt, comes_back):
    servers = [site.start_server([pki.rsa[0]]) for _ in range(2)]
    edge = site.start_edge(servers, [pki.rsa[1]], origin.address, timeouts=timeouts(5 * SLOW))
    wait_until(lambda: channels(edge) == 2, "both connected")
    with Load(edge, pki) as load:
        for server in servers:
            load.wait_more(20)
            since = server.mark()
            hurt(server)
            load.wait_more(40)
            if comes_back:
                server.wait_log(r"event=vault_ready cause=restart", since)
            else:
                site.bring_back(server)
            wait_until(lambda: channels(edge) == 2, "both connected again")


def test_two_key_servers_one_away_from_the_start_none_fails(site, pki, origin):
    first, second = site.start_server([pki.rsa[0]]), site.start_server([pki.rsa[0]])
    first.stop()
    edge = site.start_edge([first, second], [pki.rsa[1]], origin.address, timeouts=timeouts(5 * SLOW))
    with Load(edge, pki) as load:
        load.wait_more(20)
        first = site.bring_back(first)
        wait_until(lambda: channels(edge) == 2, "both connected")
        load.wait_more(20)
        second.stop()
        load.wait_more(20)


def test_two_key_servers_one_stalls_none_fails(site, pki, origin):
    first, second = site.start_server([pki.rsa[0]]), site.start_server([pki.rsa[0]])
    relay = Relay(first.host, first.port)
    edge = site.start_edge([(relay.address, first.identity.public), second], [pki.rsa[1]], origin.address,
                           timeouts=timeouts(4 * SLOW))
    wait_until(lambda: channels(edge) == 2, "both connected")
    with Load(edge, pki) as load:
        load.wait_more(10)
        relay.stall()
        load.wait_more(40)
    relay.close()


def failure_text(edge, pki, name, context):
    """What a client is told whose handshake fails, and after how many seconds."""
    begin = time.monotonic()
    with pytest.raises(OSError) as told:
        clients.fetch(edge, name, context)
    return str(told.value), time.monotonic() - begin


@pytest.mark.parametrize("version", ["rsa", "tls12", "tls13"])
@pytest.mark.parametrize("choice", ["fail", "wait", None])
def test_without_a_key_server_handshakes_fail_at_once_or_wait(site, pki, origin, tmp_path, choice, version):
    """`when_unavailable`: refused connections say that a key server is gone. Sessions go on in any case."""
    wait = 4 * SLOW
    contexts = {"rsa": lambda: rsa_client(pki),
                "tls12": lambda: clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"),
                "tls13": lambda: clients.context(pki.ca, ssl.TLSVersion.TLSv1_3)}
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=timeouts(wait),
                           extra="when_unavailable = %s\n" % choice if choice else "")
    assert edge.admin.status()["when_unavailable"] == (choice or "wait")
    assert edge.admin.status()["key_servers"][0]["reach"] == "up"
    session = session_file(edge, pki, tmp_path, "-tls1_3")
    server.stop()
    edge.admin.wait_metric("keyless_edge_key_server_gone")
    assert edge.admin.status()["key_servers"][0]["reach"] == "gone"
    text, seconds = failure_text(edge, pki, "rsa.test", contexts[version]())
    assert "internal error" in text
    reason = "key_servers_gone" if choice == "fail" else "key_unavailable"
    edge.wait_log(r"event=handshake_failed .*reason=%s .*error=" % reason)
    wait_until(lambda: edge.admin.metric(r'keyless_edge_handshake_failures_total\{reason="%s"' % reason) == 1, "counted")
    assert seconds < wait / 2 if choice == "fail" else seconds >= wait * 0.9
    assert_resumes(edge, pki, *session)
    site.bring_back(server)
    edge.wait_ready()
    assert b"from the origin" in clients.fetch(edge, "rsa.test", contexts[version]())
    assert edge.admin.metric("keyless_edge_key_server_gone") == 0


def test_a_key_server_whose_name_is_not_found_is_gone(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([("no-such-host.invalid:2407", server.identity.public)], [pki.rsa[1]], origin.address, ready=False,
                           timeouts=timeouts(10 * SLOW), extra="when_unavailable = fail\n")
    edge.admin.wait_metric("keyless_edge_key_server_gone")
    text, seconds = failure_text(edge, pki, "rsa.test", clients.context(pki.ca, ssl.TLSVersion.TLSv1_3))
    assert "internal error" in text and seconds < 5 * SLOW
    edge.wait_log(r"event=handshake_failed .*reason=key_servers_gone ")


def silent_channels(edge):
    return edge.admin.metric("keyless_edge_key_server_channels_silent_total")


@pytest.mark.parametrize("count", [1, 2])
def test_a_channel_goes_silent_under_load_none_fails(site, pki, origin, count):
    """No error is reported: packets of channels that are open vanish in both directions, and new channels open at once."""
    servers = [site.start_server([pki.rsa[0]]) for _ in range(count)]
    relay = Relay(servers[0].host, servers[0].port)
    edge = site.start_edge([(relay.address, servers[0].identity.public), *servers[1:]], [pki.rsa[1]], origin.address,
                           timeouts=timeouts(5 * SLOW))
    wait_until(lambda: channels(edge) >= count, "connected")
    with Load(edge, pki) as load:
        for number in (1, 2):
            load.wait_more(20)
            since = edge.mark()
            relay.swallow()
            edge.wait_log(r"event=key_server_silent server=ks1 silent_ms=\d+ in_flight=\d+ hint=", since)
            edge.wait_log(r"event=key_server_channel_replaced server=ks1 ", since)
            load.wait_more(20)
            assert silent_channels(edge) >= number
    relay.close()


def test_a_vault_that_is_slow_is_asked_once_over_one_channel(site, pki, origin):
    """Its net process answers pings, so that nothing is silent."""
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=timeouts(min(20 * SLOW, 60)))
    edge.wait_epochs()
    opened = edge.admin.metric("keyless_edge_key_server_connects_total")
    vault = [pid for name, pid in server.children().items() if "vault" in name][0]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        os.kill(vault, signal.SIGSTOP)
        running = [pool.submit(attempt, edge, pki) for _ in range(16)]
        server.admin.wait_metric(r"keyless_server_requests_total\{.*rsa_master", 16)
        time.sleep(2.5)  # more than twice what proves silence
        os.kill(vault, signal.SIGCONT)
        assert all(r.result() for r in running)
    assert silent_channels(edge) == 0
    assert edge.admin.metric("keyless_edge_key_server_connects_total") == opened
    assert server.admin.metric(r"keyless_server_requests_total\{.*rsa_master") == 16


def test_vault_is_killed_and_comes_back(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=TIMEOUTS)
    assert attempt(edge, pki)
    since = server.mark()
    kill_child(server, "vault")
    server.wait_log(r"event=child_died.*role=vault.*signal=9", since)
    server.wait_log(r"event=vault_ready cause=restart", since)
    wait_until(lambda: attempt(edge, pki), "handshakes work again")


def test_net_process_is_killed_and_comes_back_on_the_same_port(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=TIMEOUTS)
    assert attempt(edge, pki)
    since = server.mark()
    kill_child(server, "net")
    server.wait_log(r"event=child_died.*role=net.*signal=9", since)
    wait_until(lambda: attempt(edge, pki), "handshakes work again")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_key_server_drains_and_exits_0(site, pki, origin, number):
    """What it has been asked when the signal comes is still answered: sixteen requests wait for a vault that is held."""
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=timeouts(10 * SLOW)).wait_epochs()
    vault = [pid for name, pid in server.children().items() if "vault" in name][0]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        os.kill(vault, signal.SIGSTOP)
        running = [pool.submit(attempt, edge, pki) for _ in range(16)]
        server.admin.wait_metric(r"keyless_server_requests_total\{.*rsa_master", 16)
        server.send_signal(number)
        server.wait_log(r"event=draining open=16")
        os.kill(vault, signal.SIGCONT)
        assert server.wait_exit() == 0
        assert all(r.result() for r in running)


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
