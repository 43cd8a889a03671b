"""The owner's policy at work: what sections of keys and options of edges refuse is refused, told in the owner's log with the
option to change, and changes with a reload."""
import re
import signal
import ssl

import pytest

import clients
from daemon import wait_until
from fleet import write

RSA = ["-tls1_2", "-cipher", "AES128-GCM-SHA256"]
ECDHE = ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]
T13 = ["-tls1_3"]
SHORT = "key = 1s"


def works(edge, pki, options, name="rsa.test"):
    return clients.s_client(edge, name, pki.ca, *options)[0]


def add(server, text):
    with open(server.config) as handle:
        write(server.config, handle.read() + text + "\n")


def reload(server):
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log(r"event=vault_ready .*cause=reload", since)


def works_without_ems(edge, pki):
    """A client without extended master secret, which only plain mode can serve."""
    tls = clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, clients.RSA_KX)
    tls.options |= clients.NO_EXTENDED_MASTER_SECRET
    try:
        return b"from the origin" in clients.fetch(edge, "rsa.test", tls)
    except ssl.SSLError:
        return False


def test_a_mode_is_off_unless_listed(site, pki, origin):
    server = site.start_server([pki.rsa[0]], modes=("bound",))
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=SHORT).wait_grants()
    assert works(edge, pki, RSA) and not works_without_ems(edge, pki)
    edge.wait_log(r"event=handshake_failed .*reason=rsa_withheld .*rsa=no_extended_master_secret")
    assert works(edge, pki, ECDHE) and works(edge, pki, T13)
    add(server, 'key rsa { modes = {"plain"} }')
    reload(server)
    wait_until(lambda: works_without_ems(edge, pki), "plain mode")
    server.admin.wait_metric(r'answers_total\{operation="rsa_premaster",status="ok"')


def test_a_section_is_for_its_key_alone(site, pki, origin):
    server = site.start_server([pki.rsa[0], pki.p256[0]], extra='key rsa { operations = {"sign_tls13"} }')
    edge = site.start_edge([server], [pki.rsa[1], pki.p256[1]], origin.address, timeouts=SHORT)
    assert works(edge, pki, T13) and not works(edge, pki, ECDHE) and not works(edge, pki, RSA)
    server.wait_log(r"event=request_refused edge=edge1 op=sign_tls12 key=rsa reason=operation_not_granted")
    assert works(edge, pki, ["-tls1_2"], "p256.test")


def test_a_key_ends_with_its_time(site, pki, origin):
    server = site.start_server([pki.rsa[0]], extra="key rsa { not_after = 2020-01-01 }")
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=SHORT)
    assert not works(edge, pki, T13)
    server.wait_log(r'event=request_refused edge=edge1 op=sign_tls13 key=rsa reason=not_valid_now hint="change not_before= or not_after=')
    server.admin.wait_metric(r'keyless_server_refusals_total\{.*not_valid_now')


def test_a_key_is_used_from_its_networks(site, pki, origin):
    server = site.start_server([pki.rsa[0]], extra='key_default { from = {"192.0.2.0/24"} }')
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=SHORT)
    assert not works(edge, pki, T13)
    server.wait_log(r"event=request_refused edge=edge1 op=sign_tls13 key=rsa reason=from ")


@pytest.mark.parametrize("options, said", [("not_after=2020-01-01", "not_after= has passed"),
                                           ("not_before=2199-01-01", "not_before= has not come yet")])
def test_an_edge_out_of_its_time_meets_the_door(site, pki, origin, options, said):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=options))
    site.start_edge([server], [pki.rsa[1]], origin.address, ready=False, timeouts=SHORT)
    server.wait_log(r'event=edge_dropped reason=unknown .*edge=edge1 .*hint="%s in .*authorized_edges line 1' % said)


@pytest.mark.parametrize("extra, options", [
    ("", "quota=3/d"),
    ("key rsa { quota = 3/d }", ""),
    ("key_default { quota_per_edge = 3/d }", ""),
])
def test_a_quota_lets_exactly_its_number_pass(site, pki, origin, extra, options):
    server = site.start_server([pki.rsa[0]], extra=extra, authorized=site.authorized_line(options=options))
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=SHORT)
    assert [works(edge, pki, T13) for _ in range(5)] == [True, True, True, False, False]
    server.wait_log(r'event=request_refused edge=edge1 op=sign_tls13 key=rsa reason=quota hint="raise quota= of its line')
    server.admin.wait_metric(r'keyless_server_refusals_total\{.*"quota"', 2)


def test_a_rate_lets_its_burst_pass(site, pki, origin):
    server = site.start_server([pki.rsa[0]], extra="key rsa { rate_per_edge = 1/h }")
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=SHORT)
    assert [works(edge, pki, T13) for _ in range(3)] == [True, False, False]
    server.wait_log(r'event=request_refused edge=edge1 op=sign_tls13 key=rsa reason=rate hint="raise rate= of its line')


def test_a_policy_that_contradicts_itself_is_not_taken(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address)
    add(server, "key rsa { not_before = 2027-01-02 not_after = 2027-01-01 }")
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    line = server.wait_log(r"event=reload_failed", since)
    assert re.search(r"key rsa: not_after .* is before not_before", line)
    assert works(edge, pki, T13)
