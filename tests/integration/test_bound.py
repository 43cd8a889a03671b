"""Bound mode end to end: TLS 1.2 RSA key exchange whose pre-master secret never leaves the key server."""
import concurrent.futures
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

import clients
from daemon import SLOW, wait_until
from fleet import Site, keyless, write
from relay import Relay

BOUND = "ops=sign_tls12,sign_tls13,rsa_master"
BOTH = "ops=sign_tls12,sign_tls13,rsa_master,rsa_premaster"
MODE = r'keyless_edge_rsa_key_exchanges_total\{mode="%s"\}'
KIND = r'keyless_edge_handshakes_total\{kind="%s"\}'
KEY_SECONDS = 60  # the most that the option takes
PATIENT = "key = %ds handshake = %ds" % (KEY_SECONDS, 2 * KEY_SECONDS)
WITHHELD = r'keyless_edge_rsa_key_exchanges_withheld_total\{reason="%s"\}'
ASKED = r'keyless_server_answers_total\{operation="(sign|rsa)'
WAITING = "keyless_edge_handshakes_waiting_for_key"
WAITS = "keyless_edge_rsa_epoch_waits_total"


def start(site, pki, origin, servers=1, options=BOUND, extra="", **edge):
    started = [site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=options), extra=extra) for _ in range(servers)]
    return started, site.start_edge(started, [pki.rsa[1]], origin.address, **edge).wait_epochs(servers)


@pytest.fixture(scope="module")
def bound(tmp_path_factory, pki, origin):
    site = Site(tmp_path_factory.mktemp("bound"), pki.authority)
    (site.server,), site.edge = start(site, pki, origin)
    yield site
    site.close()


def tls(pki, options=0, ciphers=clients.RSA_KX):
    made = clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, ciphers)
    made.options |= options
    return made


class Counted:
    """How many RSA handshakes of each sort there were inside of a `with`."""

    def __init__(self, edge, server=None):
        self.edge, self.server = edge, server

    def _now(self):
        edge = self.edge.admin
        now = {"bound": edge.metric(KIND % "rsa"), "plain": edge.metric(KIND % "rsa_plain"), "resumed": edge.metric(KIND % "resumed12"),
               "no_ems": edge.metric(MODE % "no_extended_master_secret")}
        if self.server:
            for operation in ("rsa_master", "rsa_premaster"):
                now[operation] = self.server.admin.metric(r'keyless_server_answers_total\{operation="%s",status="ok"' % operation)
        return now

    def __enter__(self):
        self.before = self._now()
        return self

    def __exit__(self, *_):
        pass

    def __eq__(self, expected):
        now = self._now()
        self.seen = {name: now[name] - self.before[name] for name in now if now[name] != self.before[name]}
        return self.seen == expected

    def __repr__(self):
        return repr(self.seen)


# ---- clients ----

@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA256"])
@pytest.mark.parametrize("tickets", ["tickets", "no_tickets"])
def test_tls12_rsa_bound_openssl(bound, pki, suite, tickets):
    options = ["-tls1_2", "-cipher", suite] + (["-no_ticket"] if tickets == "no_tickets" else [])
    with Counted(bound.edge, bound.server) as counted:
        ok, text = clients.s_client(bound.edge, "rsa.test", pki.ca, *options)
        assert ok, text
    assert "Extended master secret: yes" in text and "TLS session ticket:" not in text
    assert len(re.search(r"Session-ID: (\w*)", text).group(1)) == 64
    assert counted == {"bound": 1, "rsa_master": 1}


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "AES256-GCM-SHA384"])
def test_tls12_rsa_bound_curl(bound, pki, suite):
    with Counted(bound.edge, bound.server) as counted:
        ok, text = clients.curl(bound.edge, "rsa.test", pki.ca, "--tls-max", "1.2", "--ciphers", suite)
        assert ok, text
    assert counted == {"bound": 1, "rsa_master": 1}


@pytest.mark.skipif(not clients.have("gnutls-cli"), reason="gnutls-cli (package gnutls-bin) is missing")
@pytest.mark.parametrize("cipher", ["AES-128-GCM", "AES-256-GCM", "AES-128-CBC:+SHA1"])
def test_tls12_rsa_bound_gnutls(bound, pki, cipher):
    priority = "NONE:+VERS-TLS1.2:+RSA:+%s:+AEAD:+SIGN-ALL:+COMP-NULL:+GROUP-ALL" % cipher
    with Counted(bound.edge, bound.server) as counted:
        ok, text = clients.gnutls(bound.edge, "rsa.test", pki.ca, priority)
        assert ok, text
    assert counted == {"bound": 1, "rsa_master": 1}


def test_other_handshakes_go_on_beside_it(bound, pki):
    for options in (["-tls1_3"], ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]):
        with Counted(bound.edge, bound.server) as counted:
            ok, text = clients.s_client(bound.edge, "rsa.test", pki.ca, *options)
            assert ok, text
        assert counted == {}
        ok, text = clients.s_client_resumed(bound.edge, "rsa.test", pki.ca, *options)
        assert ok, text


# ---- resumption ----

@pytest.mark.parametrize("options", [[], ["-no_ticket"]], ids=["tickets_offered", "no_tickets"])
def test_tls12_rsa_bound_comes_back_by_session_id(bound, pki, options):
    with Counted(bound.edge, bound.server) as counted:
        ok, text = clients.s_client_resumed(bound.edge, "rsa.test", pki.ca, "-tls1_2", "-cipher", clients.RSA_KX, *options)
        assert ok, text
    assert "TLS session ticket:" not in text
    assert counted == {"bound": 1, "rsa_master": 1, "resumed": 1}


@pytest.mark.skipif(not clients.have("gnutls-cli"), reason="gnutls-cli (package gnutls-bin) is missing")
@pytest.mark.parametrize("tickets", ["", ":%NO_TICKETS"], ids=["tickets_offered", "no_tickets"])
def test_tls12_rsa_bound_comes_back_by_session_id_gnutls(bound, pki, tickets):
    priority = "NONE:+VERS-TLS1.2:+RSA:+AES-128-GCM:+AEAD:+SIGN-ALL:+COMP-NULL:+GROUP-ALL" + tickets
    with Counted(bound.edge, bound.server) as counted:
        ok, text = clients.gnutls(bound.edge, "rsa.test", pki.ca, priority, resume=True)
        assert ok, text
    assert counted == {"bound": 1, "rsa_master": 1, "resumed": 1}


def test_tls12_rsa_bound_without_resumption(site, pki, origin):
    _, edge = start(site, pki, origin, tls="rsa_key_exchange = on tickets = off")
    with Counted(edge) as counted:
        ok, text = clients.s_client_resumed(edge, "rsa.test", pki.ca, "-tls1_2", "-cipher", clients.RSA_KX)
        assert not ok and "from the origin" in text and "New, TLSv1.2" in text, text
    assert counted == {"bound": 2}


# ---- clients without extended master secret ----

def test_tls12_rsa_without_extended_master_secret_is_refused_where_only_bound_is_granted(bound, pki):
    bound.edge.wait_grants()
    since, withheld = bound.edge.mark(), bound.edge.admin.metric(WITHHELD % "no_extended_master_secret")
    asked = bound.server.admin.metric(ASKED)
    with Counted(bound.edge, bound.server) as counted:
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            clients.fetch(bound.edge, "rsa.test", tls(pki, clients.NO_EXTENDED_MASTER_SECRET))
    bound.edge.wait_log(r"event=handshake_failed .*reason=rsa_withheld .*key_server=- .*rsa=no_extended_master_secret", since)
    assert counted == {}
    assert bound.edge.admin.metric(WITHHELD % "no_extended_master_secret") == withheld + 1
    assert bound.server.admin.metric(ASKED) == asked  # whatever a client says, it is no refusal there
    assert b"from the origin" in clients.fetch(bound.edge, "rsa.test", tls(pki))  # and with it, served


def test_tls12_without_extended_master_secret_uses_ephemeral_keys_where_only_bound_is_granted(site, pki, origin):
    both = "AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
    (server,), edge = start(site, pki, origin, tls='rsa_key_exchange = on ciphers = "%s"' % both)
    edge.wait_grants()
    for options, suite in ((0, "AES128-GCM-SHA256"), (clients.NO_EXTENDED_MASTER_SECRET, "ECDHE-RSA-AES128-GCM-SHA256")):
        with clients.connect(edge, "rsa.test", tls(pki, options, both)) as connection:
            assert connection.cipher()[0] == suite
    assert edge.admin.metric("keyless_edge_rsa_key_exchanges_withheld_total") == 0  # nobody was lost
    assert server.admin.metric("keyless_server_refusals_total") == 0


def test_tls12_rsa_without_extended_master_secret_is_served_where_plain_is_granted_too(site, pki, origin):
    (server,), edge = start(site, pki, origin, options=BOTH)
    with Counted(edge, server) as counted:
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki, clients.NO_EXTENDED_MASTER_SECRET))
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
    assert counted == {"bound": 1, "rsa_master": 1, "plain": 1, "rsa_premaster": 1, "no_ems": 1}
    status = edge.admin.status()
    assert [status["connections"]["rsa_bound"], status["connections"]["rsa_plain"]] == [1, 1]
    assert status["key_servers"][0]["epoch"] > 0


def test_where_no_epoch_is_announced_sessions_are_plain(site, pki, origin):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options="ops=rsa_premaster"))
    edge = site.start_edge([server], [pki.rsa[1]], origin.address)
    with Counted(edge, server) as counted:
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
    assert counted == {"plain": 1, "rsa_premaster": 1}
    assert edge.admin.metric(MODE % "no_epoch") == 1
    assert edge.admin.status()["key_servers"][0]["epoch"] == 0


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


def test_rsa_master_may_be_taken_away_and_given_again(site, pki, origin):
    (server,), edge = start(site, pki, origin, options=BOTH, timeouts=PATIENT)
    for options, kind in (("ops=rsa_premaster", "plain"), (BOTH, "bound")):
        write(server.folder + "/authorized_edges", site.authorized_line(options=options))
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: (edge.admin.metric(r"keyless_edge_key_server_epoch\{") > 0) == (kind == "bound"), kind)
        with Counted(edge) as counted:
            assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
            assert counted == {kind: 1}
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
        done = frozen.begin(keyless, "trace", "--ca", pki.ca, "--admin", "%s:%d" % (admin.host, admin.port), "--connect",
                            "127.0.0.1:%d" % frozen.edge.port, "https://rsa.test/")
        frozen.go_on()
        text = done.result().stdout
        assert re.search(r" ClientHello .*\n.*no key server has announced an epoch yet\n.*goes on, \d+\.\d+ ms later\n.* ServerHello ", text), text
        assert re.search(r"edge → key server 'ks1' +rsa_master", text), text


# ---- what is seen of it ----

def test_trace_shows_that_the_pre_master_stays_at_the_key_server(bound, pki):
    done = keyless("trace", "--ca", pki.ca, "--admin", "%s:%d" % (bound.edge.admin.host, bound.edge.admin.port), "--connect",
                   "127.0.0.1:%d" % bound.edge.port, "https://rsa.test/")
    assert re.search(r"edge → key server 'ks1' +rsa_master, \d{3,5} bytes of fields", done.stdout), done.stdout
    assert "ok, 48 bytes (the master secret; the pre-master secret stays there)" in done.stdout


def test_the_access_log_names_the_kind(bound, pki):
    since = bound.edge.mark()
    assert b"from the origin" in clients.fetch(bound.edge, "rsa.test", tls(pki))
    bound.edge.wait_log(r"event=connection .* cipher=AES128-GCM-SHA256 kind=rsa resumed=no .*key_server=ks1", since)


# ---- key servers that go away in the midst of handshakes ----

def test_key_server_restarted_between_server_hello_and_client_key_exchange(site, pki, origin):
    (server,), edge = start(site, pki, origin, timeouts=PATIENT)
    with clients.Held(edge, "rsa.test", tls(pki)) as held:
        assert server.stop() == 0
        server = site.bring_back(server)
        edge.admin.wait_metric(r"keyless_edge_key_server_connects_total\{", 2)
        held.go_on()
        assert b"from the origin" in held.finish()
    assert server.admin.metric(r'answers_total\{operation="rsa_master",status="ok"') == 1


def test_client_key_exchange_while_the_key_server_is_away(site, pki, origin):
    (server,), edge = start(site, pki, origin, timeouts=PATIENT)
    with clients.Held(edge, "rsa.test", tls(pki)) as held:
        assert server.stop() == 0
        edge.wait_log(r"event=key_server_lost")
        held.go_on()
        edge.admin.wait_metric(r"keyless_edge_handshakes_waiting_for_key")
        site.bring_back(server)
        assert b"from the origin" in held.finish()


def test_a_handshake_that_begins_while_the_key_server_is_away_is_bound(site, pki, origin):
    """Its epoch outlives its channel."""
    (server,), edge = start(site, pki, origin, timeouts=PATIENT)
    assert server.stop() == 0
    edge.wait_log(r"event=key_server_lost")
    with clients.Held(edge, "rsa.test", tls(pki)) as held, Counted(edge) as counted:
        held.go_on()
        edge.admin.wait_metric(r"keyless_edge_handshakes_waiting_for_key")
        site.bring_back(server)
        assert b"from the origin" in held.finish()
        assert counted == {"bound": 1}


def more_keys(folder, count):
    """COUNT keys that no certificate belongs to, as of other customers."""
    subprocess.run(["sh", "-ec", "umask 377; for i in $(seq %d); do openssl genpkey -algorithm EC "
                    "-pkeyopt ec_paramgen_curve:P-256 -out more$i.pem; done" % count], cwd=folder, check=True, capture_output=True)


def test_a_restart_with_400_more_keys_fails_no_handshake_that_waits(site, pki, origin):
    """It takes a while to load them: what comes to the key server meanwhile, from handshakes of any kind, waits or asks again."""
    (server,), edge = start(site, pki, origin, timeouts=PATIENT)
    ephemeral = [clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"), clients.context(pki.ca, ssl.TLSVersion.TLSv1_3)]
    held = [clients.Held(edge, "rsa.test", tls(pki)) for _ in range(12)]
    more_keys(os.path.join(server.folder, "keys"), 400)
    assert server.stop() == 0
    edge.wait_log(r"event=key_server_lost")
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        fetched = [pool.submit(clients.fetch, edge, "rsa.test", ephemeral[i % 2]) for i in range(6)]
        for one in held[:6]:
            one.go_on()
        edge.admin.wait_metric(WAITING, 12)
        back = pool.submit(site.bring_back, server)
        while not back.done():  # further ones at any moment of the start
            fetched.append(pool.submit(clients.fetch, edge, "rsa.test", ephemeral[len(fetched) % 2]))
            if len(fetched) % 4 == 0 and len(fetched) < 30:
                held[6 + (len(fetched) // 4) % 6].go_on()
            time.sleep(0.05)
        assert back.result().admin.metric("keyless_server_keys") >= 401
        for one in held:
            one.go_on()
        assert all(b"from the origin" in one.finish() for one in held)
        assert all(b"from the origin" in one.result() for one in fetched)
    for one in held:
        one.close()
    assert edge.admin.metric(r'keyless_edge_handshake_failures_total\{reason="key_') == 0


@pytest.mark.parametrize("gone", [0, 1])
def test_failover_between_server_hello_and_client_key_exchange(site, pki, origin, gone):
    servers, edge = start(site, pki, origin, servers=2, timeouts=PATIENT)
    with clients.Held(edge, "rsa.test", tls(pki)) as held:
        servers[gone].process.kill()
        edge.wait_log(r"event=key_server_lost server=ks%d" % (gone + 1))
        held.go_on()
        assert b"from the origin" in held.finish()
    edge.wait_log(r"event=connection .*kind=rsa .*key_server=ks%d" % (2 - gone))


def test_failover_while_a_key_server_has_the_transcript(site, pki, origin):
    """One of two is stalled with requests in its hands and then lost: each of them is answered by the other."""
    servers = [site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=BOUND)) for _ in range(2)]
    relay, other = (Relay(server.host, server.port) for server in servers)
    try:
        edge = site.start_edge([(way.address, server.identity.public) for way, server in zip((relay, other), servers)], [pki.rsa[1]],
                               origin.address, timeouts=PATIENT)
        edge.wait_epochs(2)
        held = [clients.Held(edge, "rsa.test", tls(pki)) for _ in range(12)]
        for way in (relay, other):  # both: one that is known to be silent would be asked for nothing
            way.stall()
        for one in held:
            one.go_on()
        edge.admin.wait_metric(WAITING, 12)
        other.resume()
        servers[1].admin.wait_metric(r'answers_total\{operation="rsa_master",status="ok"')
        edge.admin.wait_metric(r'keyless_edge_key_server_requests_total\{server="ks1",operation="rsa_master"')
        relay.cut()
        assert all(b"from the origin" in one.finish() for one in held)
        assert servers[1].admin.metric(r'answers_total\{operation="rsa_master",status="ok"') == 12
        assert edge.admin.metric(r'keyless_edge_key_server_retried_total\{server="ks1"') >= 1
        for one in held:
            one.close()
    finally:
        relay.close()
        other.close()


def test_clients_that_leave_while_a_key_server_has_their_transcript(site, pki, origin):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=BOUND))
    relay = Relay(server.host, server.port)
    try:
        edge = site.start_edge([(relay.address, server.identity.public)], [pki.rsa[1]], origin.address, timeouts=PATIENT)
        edge.wait_epochs()
        held = [clients.Held(edge, "rsa.test", tls(pki)) for _ in range(50)]
        relay.stall()
        for one in held:
            one.go_on()
        edge.admin.wait_metric("keyless_edge_handshakes_waiting_for_key", 50)
        for one in held:
            clients.reset(one.raw)
        wait_until(lambda: edge.admin.metric("keyless_edge_connections_active") == 0, "every session freed")
        assert edge.admin.metric("keyless_edge_handshakes_waiting_for_key") == 0
        assert edge.admin.metric(MODE % "bound") == 50
        relay.resume()
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
    finally:
        relay.close()


# ---- epochs ----

def test_a_client_that_waits_longer_than_its_epoch_is_refused(site, pki, origin):
    (server,), edge = start(site, pki, origin, extra="epoch = 1s", timeouts="handshake = %ds" % (60 * SLOW))
    with clients.Held(edge, "rsa.test", tls(pki)) as held:
        begun = edge.admin.metric(r"keyless_edge_key_server_epoch\{")
        wait_until(lambda: edge.admin.metric(r"keyless_edge_key_server_epoch\{") >= begun + 3, "three more epochs")
        held.go_on()
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            held.finish()
    edge.wait_log(r"event=handshake_failed .*reason=key_refused .*rsa=bound")
    server.wait_log(r"event=request_refused .*op=rsa_master .*reason=session_id")
    assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))


def test_epochs_turn_under_handshakes(site, pki, origin):
    _, edge = start(site, pki, origin, extra="epoch = 1s")
    first = edge.admin.metric(r"keyless_edge_key_server_epoch\{")
    count = 0
    while edge.admin.metric(r"keyless_edge_key_server_epoch\{") < first + 3:
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
        count += 1
    assert edge.admin.metric(KIND % "rsa") == count


def test_key_servers_with_different_group_secrets_are_told_apart(site, pki, origin):
    """They disagree, which is said once, and every session goes to the server that has marked it."""
    servers = []
    for number in range(2):
        identity, config, folder = site.server_folder([pki.rsa[0]], authorized=site.authorized_line(options=BOUND), extra="epoch = 1s")
        write(folder + "/group.secret", keyless("genkey").stdout, 0o400)
        servers.append(site.restart_server(folder, identity, config))
    edge = site.start_edge(servers, [pki.rsa[1]], origin.address).wait_epochs(2)
    edge.wait_log(r"event=key_servers_disagree server=ks\d other=ks\d about=group_secret hint=\"give both the same group.secret")
    for _ in range(20):
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
    edge.admin.wait_metric(r"keyless_edge_key_server_other_secrets_total\{", 3)
    assert len(edge.find(r"event=key_servers_disagree")) <= 2  # at most once for each of the two
    assert not edge.find(r"event=handshake_failed")


def test_replicas_agree(site, pki, origin):
    _, edge = start(site, pki, origin, servers=2, extra="epoch = 1s")
    first = edge.admin.metric(r'key_server_epoch\{server="ks1"')
    wait_until(lambda: edge.admin.metric(r'key_server_epoch\{server="ks1"') >= first + 2, "two more epochs")
    assert not edge.find(r"event=key_servers_disagree")
    assert edge.admin.metric(r"key_server_other_(secrets|clocks)_total") == 0
