"""Bound mode end to end: TLS 1.2 RSA key exchange whose pre-master secret never leaves the key server."""
import re
import ssl

import pytest

import clients
from bound_mode import BOTH, MODE, Counted, start, tls
from fleet import Site, keyless

WITHHELD = r'keyless_edge_rsa_key_exchanges_withheld_total\{reason="%s"\}'
ASKED = r'keyless_server_answers_total\{operation="(sign|rsa)'


@pytest.fixture(scope="module")
def bound(tmp_path_factory, pki, origin):
    site = Site(tmp_path_factory.mktemp("bound"), pki.authority)
    (site.server,), site.edge = start(site, pki, origin)
    yield site
    site.close()


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


# ---- what is seen of it ----

def test_trace_shows_that_the_pre_master_stays_at_the_key_server(bound, pki):
    done = keyless("trace", "--cipher", "kRSA", "--ca", pki.ca, "--admin", "%s:%d" % (bound.edge.admin.host, bound.edge.admin.port), "--connect",
                   "127.0.0.1:%d" % bound.edge.port, "https://rsa.test/")
    assert re.search(r"edge → key server 'ks1' +rsa_master, \d{3,5} bytes of fields", done.stdout), done.stdout
    assert "ok, 48 bytes (the master secret; the pre-master secret stays there)" in done.stdout


def test_the_access_log_names_the_kind(bound, pki):
    since = bound.edge.mark()
    assert b"from the origin" in clients.fetch(bound.edge, "rsa.test", tls(pki))
    bound.edge.wait_log(r"event=connection .* cipher=AES128-GCM-SHA256 kind=rsa resumed=no .*key_server=ks1", since)
