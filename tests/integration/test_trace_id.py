"""One id goes with a handshake: it stands in the edge's log, in the log of the key server that was asked, and in its audit log."""
import concurrent.futures
import json
import os
import re
import signal
import ssl

import pytest

import clients
from daemon import SLOW, wait_until
from fleet import Site, keyless, write
from test_key_server_failures import kill_whole

ALL = "ops=sign_tls12,sign_tls13,rsa_master,rsa_premaster"
KEY_SECONDS = 4 * SLOW  # half-way, another key server is asked, too


def audited(server, *filters):
    """Records of the audit log of a server, as keyless audit tail finds them."""
    shown = keyless("audit", "tail", "-n", 1000, "--json", *filters, os.path.join(server.folder, "audit")).stdout
    return [json.loads(line) for line in shown.splitlines()]


def field(name, line):
    return re.search(r"\b%s=(\S+)" % name, line).group(1)


def one_line(daemon, pattern, since=0):
    line = daemon.wait_log(pattern, since)
    assert daemon.find(pattern, since) == [line]
    return line


def ask(edge, pki, name, *options):
    return clients.s_client(edge, name, pki.ca, *options)[0]


def ask_without_ems(edge, pki, name):
    tls = clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, clients.RSA_KX)
    tls.options |= clients.NO_EXTENDED_MASTER_SECRET
    return b"from the origin" in clients.fetch(edge, name, tls)


HANDSHAKES = {
    "bound": ("rsa", "rsa_master", {"mode": "bound"}, lambda *to: ask(*to, "-tls1_2", "-cipher", clients.RSA_KX)),
    "plain": ("rsa", "rsa_premaster", {"mode": "plain"}, ask_without_ems),
    "ecdhe": ("p256", "sign_tls12", {"scheme": "ecdsa_secp256r1_sha256"},
              lambda *to: ask(*to, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")),
    "tls13": ("rsa", "sign_tls13", {"scheme": "rsa_pss_rsae_sha256"}, lambda *to: ask(*to, "-tls1_3")),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory, pki, origin):
    site = Site(tmp_path_factory.mktemp("trace"), pki.authority)
    site.server = site.start_server([pki.rsa[0], pki.p256[0]], authorized=site.authorized_line(options=ALL))
    site.edge = site.start_edge([site.server], [pki.rsa[1], pki.p256[1]], origin.address).wait_epochs()
    yield site
    site.close()


@pytest.mark.parametrize("kind", list(HANDSHAKES))
def test_the_id_of_a_handshake_is_in_all_three(running, pki, kind):
    key, operation, more, handshake = HANDSHAKES[kind]
    edge, server = running.edge, running.server
    since, before = edge.mark(), len(audited(server))
    assert handshake(edge, pki, key + ".test")
    line = one_line(edge, r"event=connection\b", since)
    trace = field("trace", line)
    assert re.fullmatch("[0-9a-f]{32}", trace) and field("sni", line) == key + ".test"
    assert field("result", line) in ("ok", "client_cut")  # Python's ssl says no goodbye
    used = one_line(server, r"event=request\b.*trace=" + trace)
    assert (field("edge", used), field("op", used), field("key", used), field("result", used)) == ("edge1", operation, key, "ok")
    expected = {"type": "use", "edge": "edge1", "key": key, "op": operation, "result": "ok", "trace": trace, **more}
    for filters in ([trace], [trace[:12]], [trace, "--op", operation, "--key", key, "--result", "ok"]):
        (record,) = audited(server, "--trace", *filters)
        assert {name: record.get(name) for name in expected} == expected
    assert audited(server, "--trace", trace, "--result", "refused") == []
    shown = keyless("audit", "tail", "--trace", trace, os.path.join(server.folder, "audit")).stdout.splitlines()
    assert len(shown) == 1 and operation in shown[0]
    assert len([r for r in audited(server)[before:] if r["type"] == "use"]) == 1


def test_each_handshake_has_its_own_id_and_a_resumed_one_asks_nobody(running, pki):
    edge, server = running.edge, running.server
    since, asked = edge.mark(), server.mark()
    assert clients.s_client_resumed(edge, "rsa.test", pki.ca, "-tls1_3")[0]
    edge.wait_log(r"event=connection\b", since, count=2)
    full, resumed = edge.find(r"event=connection\b", since)
    assert (field("resumed", full), field("resumed", resumed)) == ("no", "yes")
    assert field("trace", full) != field("trace", resumed)
    assert len(audited(server, "--trace", field("trace", full))) == 1
    assert audited(server, "--trace", field("trace", resumed)) == []
    assert not server.find("trace=" + field("trace", resumed), asked)


def test_the_id_of_a_refused_handshake_is_in_all_three(site, pki, origin):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options="ops=sign_tls12"))
    edge = site.start_edge([server], [pki.rsa[1]], origin.address)
    assert not ask(edge, pki, "rsa.test", "-tls1_3")
    failed = one_line(edge, r"event=handshake_failed\b")
    trace = field("trace", failed)
    assert (field("reason", failed), field("key_status", failed)) == ("key_refused", "refused")
    assert field("trace", one_line(edge, r"event=connection\b")) == trace
    refused = one_line(server, r"event=request_refused\b")
    assert (field("trace", refused), field("op", refused), field("reason", refused)) == (trace, "sign_tls13", "operation_not_granted")
    assert not server.find(r"event=request\b")
    (record,) = audited(server, "--trace", trace)
    assert (record["result"], record["reason"], record["op"]) == ("refused", "operation_not_granted", "sign_tls13")
    assert audited(server, "--result", "refused") == [record]


# ---- fail-over ----

class Held:
    """Two key servers whose vaults are held, and a handshake of which one has been asked: `asked`; the other goes on."""

    def __init__(self, site, pki, origin, pool):
        servers = [site.start_server([pki.rsa[0]]) for _ in range(2)]
        self.edge = site.start_edge(servers, [pki.rsa[1]], origin.address,
                                    timeouts="key = %ds handshake = %ds" % (KEY_SECONDS, 4 * KEY_SECONDS))
        wait_until(lambda: self.edge.admin.metric(r"keyless_edge_key_server_channels\{") == 2, "both connected")
        for server in servers:
            self.signal(server, signal.SIGSTOP)
        self.handshake = pool.submit(ask, self.edge, pki, "rsa.test", "-tls1_3")
        self.asked = wait_until(lambda: next((s for s in servers if self.requests(s)), None), "a request")
        self.other = next(s for s in servers if s is not self.asked)
        self.name = "ks%d" % (servers.index(self.other) + 1)
        self.signal(self.other, signal.SIGCONT)

    @staticmethod
    def requests(server):
        return server.admin.metric(r"keyless_server_requests_total\{.*sign_tls13")

    @staticmethod
    def signal(server, number):
        os.kill(next(pid for name, pid in server.children().items() if "vault" in name), number)

    def trace(self):
        """Of the handshake, which the other has answered."""
        assert self.handshake.result()
        line = one_line(self.edge, r"event=connection\b")
        assert (field("result", line), field("key_server", line)) == ("ok", self.name)
        trace = field("trace", line)
        one_line(self.other, r"event=request\b.*result=ok trace=" + trace)
        (record,) = audited(self.other, "--trace", trace)
        assert (record["op"], record["result"]) == ("sign_tls13", "ok")
        return trace


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(1) as made:
        yield made


def test_when_a_key_server_is_gone_before_it_answers_the_id_is_at_the_other(site, pki, origin, pool):
    held = Held(site, pki, origin, pool)
    kill_whole(held.asked)
    trace = held.trace()
    assert audited(held.asked, "--trace", trace) == []
    assert not held.asked.find("trace=" + trace)


def test_when_a_key_server_is_too_late_the_id_is_at_both(site, pki, origin, pool):
    held = Held(site, pki, origin, pool)
    trace = held.trace()
    held.signal(held.asked, signal.SIGCONT)
    line = held.asked.wait_log(r"event=request\b.*op=sign_tls13 .*trace=" + trace)
    (record,) = audited(held.asked, "--trace", trace)
    assert (record["op"], record["result"]) == ("sign_tls13", field("result", line))


def test_what_a_request_for_keys_does_not_have_is_not_on_record(site, pki):
    """An edge asks for the list of keys with no key in mind."""
    server = site.start_server([pki.p256[0]])
    edge = site.start_edge([server], [pki.p256[1]], "127.0.0.1:1").wait_grants()
    write(os.path.join(server.folder, "authorized_edges"), site.authorized_line(options="not_after=2020-01-01"))
    since = server.mark()
    server.send_signal(signal.SIGHUP)  # its channel stays
    server.wait_log("event=edges_loaded", since)
    assert not ask(edge, pki, "p256.test", "-tls1_3")  # a refusal, after which it asks anew
    line = server.wait_log(r"event=request_refused .*op=keys")
    assert field("key", line) == "-" and int(field("trace", line), 16) != 0, line
    wait_until(lambda: audited(server, "--op", "keys", "--trace", field("trace", line)), "the record")
    record = audited(server, "--op", "keys", "--trace", field("trace", line))[0]
    assert "key" not in record and record["trace"] == field("trace", line), record
