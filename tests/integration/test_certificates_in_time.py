"""Several certificates for one name: which one clients are shown follows the time, without a restart."""
import ssl

import pytest

import clients
from daemon import wait_until

HOST = "dated.test"
HOUR = 1 / 24
SECOND = 1 / 86400
NAMES = r'keyless_edge_certificate_names{state="%s"}'


@pytest.fixture
def dated(pki):
    """Makes certificates for one name, all of one key: NAME, valid from START to DAYS days from now."""
    key, first = pki.authority.issue("dated_key", "p256", [HOST])

    def issue(name, days, start):
        return pki.authority.issue(name, "p256", [HOST], days=days, start=start, key=key)[1]
    return key, issue


def shown(edge):
    """DER of the certificate that a client is shown which looks at no dates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with clients.connect(edge, HOST, context) as connection:
        return connection.getpeercert(True)


def der(path):
    with open(path) as handle:
        return ssl.PEM_cert_to_DER_cert(handle.read())


def start(site, key, certs, origin):
    return site.start_edge([site.start_server([key])], certs, origin.address)


def start_before(site, key, certs_in, origin, in_time):
    """(edge, certificates): an edge that has started before the time that CERTS_IN(days) counts from now, which IN_TIME(edge)
    tells; a busy machine gets more time than an idle one."""
    server = site.start_server([key])
    for seconds in (3, 12, 48, 192):
        certs = certs_in(seconds * SECOND)
        edge = site.start_edge([server], certs, origin.address)
        if in_time(edge):
            return edge, certs
        edge.stop()
    raise AssertionError("no edge starts within %d s" % seconds)


def test_a_certificate_staged_ahead_takes_over_when_its_time_comes(site, dated, origin):
    key, issue = dated

    def certs_in(lead):
        return issue("dated_now", 10, -20), issue("dated_soon", 91, lead)
    edge, (now, soon) = start_before(site, key, certs_in, origin,
                                     lambda edge: edge.find(r"event=certificate_waits file=\S*dated_soon"))
    assert shown(edge) == der(now)
    wait_until(lambda: shown(edge) == der(soon), "the successor")
    edge.wait_log(r"event=certificate_changed name=dated\.test file=\S*dated_soon\S* before=\S*dated_now")
    assert edge.admin.metric(NAMES % "valid") == 1
    states = {row["file"].rsplit("/", 1)[1]: row["state"] for row in edge.admin.status()["certificates"]}
    assert set(states.values()) == {"valid"}


def test_what_starts_tomorrow_hides_nothing(site, pki, dated, origin):
    key, issue = dated
    now, tomorrow = issue("dated_now", 10, -20), issue("dated_tomorrow", 91, 1)
    edge = start(site, key, [now, tomorrow], origin)
    with clients.connect(edge, HOST, clients.context(pki.ca)) as connection:
        assert connection.getpeercert(True) == der(now)
    assert not edge.find(r"event=certificate_shadowed")


def test_an_expired_certificate_is_shown_loudly(site, dated, origin):
    key, issue = dated
    older, old = issue("dated_older", -2, -20), issue("dated_old", -1, -20)
    edge = start(site, key, [older, old], origin)
    assert edge.find(r"event=certificate_expired name=dated\.test file=\S*dated_old\.pem")
    assert shown(edge) == der(old)
    assert edge.admin.metric(NAMES % "expired") == 1


def test_expiry_while_it_serves_is_logged(site, dated, origin):
    key, issue = dated
    edge, _ = start_before(site, key, lambda lead: [issue("dated_brief", lead, -HOUR)], origin,
                           lambda edge: not edge.find(r"event=certificate_expired"))
    edge.wait_log(r"event=certificate_expired name=dated\.test")
    assert edge.admin.metric(NAMES % "expired") == 1
    assert shown(edge)
