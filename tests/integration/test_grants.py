"""What an edge knows of its grants: clients get a certificate and a key exchange that a key server will not refuse."""
import signal
import ssl

import pytest

import clients
from daemon import wait_until

ANY_TYPE = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
REFUSED = "keyless_server_refusals_total"


@pytest.fixture(scope="module")
def both(pki):
    """Keys and certificates of one name, RSA and P-256."""
    return list(zip(*(pki.authority.issue("both_" + name, key_type, ["both.test"]) for name, key_type in (("rsa", "rsa2048"), ("p256", "p256")))))


def line(site, *certs):
    return site.authorized_line(options="keys=%s ops=sign_tls12,sign_tls13,rsa_master" % ",".join(certs))


def shown(edge, pki, version=None, ciphers=None):
    """The kind of key in the certificate that a client which takes any is shown."""
    made = clients.context(pki.ca, version, ciphers)
    with clients.connect(edge, "both.test", made) as connection:
        return "rsa" if b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" in connection.getpeercert(True) else "p256"


def kinds(edge, pki):
    return {shown(edge, pki), shown(edge, pki, ssl.TLSVersion.TLSv1_2, ANY_TYPE)}


def kinds_now(edge, pki):
    """The same; empty while a handshake is still refused by the key server."""
    try:
        return kinds(edge, pki)
    except ssl.SSLError:
        return set()


def start(site, both, origin, *granted):
    """An edge with both certificates; each key server has both keys and grants it those that are called GRANTED[i]."""
    keys, certs = both
    servers = [site.start_server(keys, authorized=line(site, *names)) for names in granted]
    return servers, site.start_edge(servers, certs, origin.address).wait_grants(len(servers))


def test_a_certificate_whose_key_is_not_granted_gives_way_to_the_other_of_its_name(site, pki, both, origin):
    for granted in ("both_rsa", "both_p256"):
        (server,), edge = start(site, both, origin, [granted])
        assert kinds(edge, pki) == {granted.removeprefix("both_")}
        assert server.admin.metric(REFUSED) == 0


def test_a_client_that_only_takes_what_is_not_granted_is_told_at_once(site, pki, both, origin):
    (server,), edge = start(site, both, origin, ["both_rsa"])
    for options in (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], ["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"]):
        ok, text = clients.s_client(edge, "both.test", pki.ca, *options)
        assert not ok and "alert handshake failure" in text, text
    assert server.admin.metric(REFUSED) == 0


def test_the_key_servers_change_of_mind_is_learnt(site, pki, both, origin):
    (server,), edge = start(site, both, origin, ["both_rsa"])
    assert kinds(edge, pki) == {"rsa"}
    for granted, expected in ((["both_rsa", "both_p256"], {"p256"}), (["both_p256"], {"p256"}), (["both_rsa"], {"rsa"})):
        with open(server.folder + "/authorized_edges", "w") as handle:
            handle.write(line(site, *granted))
        since = server.mark()
        server.send_signal(signal.SIGHUP)
        server.wait_log(r"event=edges_loaded\b", since)
        wait_until(lambda expected=expected: kinds_now(edge, pki) == expected, "certificates by what is granted now: %s" % granted)


def test_each_of_two_key_servers_is_asked_for_what_it_grants(site, pki, both, origin):
    servers, edge = start(site, both, origin, ["both_rsa"], ["both_p256"])
    for _ in range(10):
        for suite in ANY_TYPE.split(":"):
            assert shown(edge, pki, ssl.TLSVersion.TLSv1_2, suite) in ("rsa", "p256")
    assert [server.admin.metric(REFUSED) for server in servers] == [0, 0]
    assert all(edge.admin.metric(r'key_server_answers_total\{server="ks%d",operation="sign_tls12",status="ok"' % n) >= 10 for n in (1, 2))


def test_without_any_grant_the_key_server_refuses_and_its_owner_hears_of_it(site, pki, both, origin):
    keys, certs = both
    server = site.start_server(keys, authorized=line(site, "other"))
    edge = site.start_edge([server], certs, origin.address)
    wait_until(lambda: edge.admin.metric(r'key_server_answers_total\{server="ks1",operation="keys",status="ok"'), "the key server's word")
    ok, text = clients.s_client(edge, "both.test", pki.ca, "-tls1_3")
    assert not ok, text
    server.wait_log(r"event=request_refused .*reason=key_not_granted")
