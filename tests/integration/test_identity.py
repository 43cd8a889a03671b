"""Who may connect and who may use which key: refused edges look the same from outside and are told apart in the right log."""
import base64
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import time

import pytest

import clients
import keysearch
import tls12
from daemon import program, wait_until
from fleet import Identity, keyless, write
from pki import key_id
from relay import Relay

RSA = ["-tls1_2", "-cipher", "AES128-GCM-SHA256"]
ECDHE = ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]
SHORT = "key = 1s"


def assert_refused(edge, pki):
    """A client sees a failed handshake, and the same alerts whatever the reason is."""
    for options, alert in ((RSA, "decrypt error"), (ECDHE, "internal error")):
        ok, text = clients.s_client(edge, "rsa.test", pki.ca, *options)
        assert not ok, text
        assert re.findall(r"alert ([a-z ]+):", text) == [alert], text


def test_unknown_edge_meets_silence(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    stranger = Identity(site.folder, "stranger.key")
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, ready=False, identity=stranger, timeouts=SHORT)
    server.wait_log(r'event=edge_dropped reason=unknown .*edge=- key="%s" hint="add a line with this key to %s/authorized_edges' % (
        re.escape(stranger.public), re.escape(server.folder)))
    edge.wait_log(r"event=key_server_connect_failed server=ks1 .*hint=.*authorized_edges")
    assert_refused(edge, pki)
    edge.wait_log(r"event=handshake_failed.*reason=key_unavailable")
    server.admin.wait_metric(r'keyless_server_.*dropped_total\{.*unknown')


def test_wrong_psk_meets_silence(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    psk = write(os.path.join(site.folder, "other.psk"), keyless("genkey").stdout, 0o400)
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, ready=False, psk_path=psk, timeouts=SHORT)
    server.wait_log(r'event=edge_dropped reason=psk .*edge=edge1 .*hint="its psk differs from the one in %s/authorized_edges line 1"'
                    % re.escape(server.folder))
    edge.wait_log(r"event=key_server_connect_failed server=ks1 .*hint=.*psk")
    assert_refused(edge, pki)
    server.admin.wait_metric(r'keyless_server_.*dropped_total\{.*psk')


def test_wrong_server_identity_is_noticed_by_the_edge(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    other = Identity(site.folder, "other-server.key")
    edge = site.start_edge([(server.address, other.public)], [pki.rsa[1]], origin.address, ready=False, timeouts=SHORT)
    edge.wait_log(r"event=key_server_connect_failed server=ks1 .*hint=.*identity")
    server.wait_log(r'event=edge_dropped reason=handshake .*hint=".*the key that its configuration gives for this key server is another one')
    assert_refused(edge, pki)
    server.admin.wait_metric(r'keyless_server_.*dropped_total\{.*handshake')


def outside(site, server, certificate, **options):
    """What the network sees of the first attempt of an edge: bytes of the key server, and how it ended the connection."""
    relay = Relay(server.host, server.port)
    edge = site.start_edge([(relay.address, options.pop("key", server.identity.public))], [certificate], "127.0.0.1:1",
                           ready=False, **options)
    edge.wait_log(r"event=key_server_connect_failed")
    wait_until(lambda: relay.seen, "the key server's end of the connection")
    assert edge.stop() == 0
    relay.close()
    return relay.seen[0]


def test_refused_edges_look_the_same_from_outside(site, pki):
    """Not a byte, then the end; but for a wrong psk, where message 2 (48 bytes) leaves, as the protocol's order has it."""
    server = site.start_server([pki.rsa[0]])
    elsewhere = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options="from=192.0.2.0/24"))
    unknown = outside(site, server, pki.rsa[1], identity=Identity(site.folder, "stranger.key"))
    assert unknown == (0, "fin")
    assert outside(site, server, pki.rsa[1], key=Identity(site.folder, "other-server.key").public) == unknown
    assert outside(site, elsewhere, pki.rsa[1]) == unknown
    psk = write(os.path.join(site.folder, "other.psk"), keyless("genkey").stdout, 0o400)
    assert outside(site, server, pki.rsa[1], psk_path=psk)[0] == 48


@pytest.mark.parametrize("options, reason", [
    ("ops=sign_tls13", "operation_not_granted"),
    ("ops=sign_tls12,sign_tls13,rsa_premaster keys=other", "key_not_granted"),
    ("ops=sign_tls12,sign_tls13,rsa_premaster keys=%s" % ("0" * 64), "key_not_granted"),
], ids=["operation", "key name", "key id"])
def test_edge_without_the_right(site, pki, origin, options, reason):
    """The connection stands; the request is refused; the client sees the same alert whatever the reason."""
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=options))
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=SHORT)
    assert_refused(edge, pki)
    line = server.wait_log(r'event=request_refused edge=edge1 op=rsa_premaster key=rsa reason=%s hint="list the .*authorized_edges' % reason)
    trace = re.search(r"trace=(\w+)", line).group(1)
    edge.wait_log(r"event=handshake_failed.*reason=key_refused.*key_server=ks1.*trace=%s" % trace)
    server.admin.wait_metric(r'keyless_server_refusals_total\{.*%s' % reason, 2)
    assert edge.admin.metric(r'keyless_edge_handshake_failures_total\{reason="key_refused"') == 2
    assert edge.admin.metric(r"keyless_edge_key_server_channels\{") == 1


def test_key_that_the_server_does_not_have(site, pki, origin):
    server = site.start_server([pki.p256[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=SHORT)
    assert_refused(edge, pki)
    server.wait_log(r'event=request_refused edge=edge1 .*reason=unknown_key hint="put the key into')
    edge.wait_log(r"event=handshake_failed.*reason=key_refused")


def test_from_limits_where_an_edge_may_be(site, pki, origin):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options="ops=rsa_premaster from=192.0.2.0/24"))
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, ready=False, timeouts=SHORT)
    server.wait_log(r'event=edge_dropped reason=unknown .*edge=edge1 .*hint="from= in .*authorized_edges line 1')
    assert_refused(edge, pki)


def test_operation_can_be_granted_alone(site, pki, origin):
    """What ops= does not list is refused; signatures go on."""
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options="ops=sign_tls12,sign_tls13"))
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=SHORT)
    ok, text = clients.s_client(edge, "rsa.test", pki.ca, *RSA)
    assert not ok, text
    ok, text = clients.s_client(edge, "rsa.test", pki.ca, *ECDHE)
    assert ok, text


def probe(server, data, seconds=15):
    """What a stranger gets who connects, sends DATA and waits."""
    with socket.create_connection((server.host, server.port), timeout=seconds) as raw:
        try:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            return raw.recv(4096)
        except ConnectionResetError:
            return b""


def test_a_stranger_gets_not_one_byte(site, pki):
    server = site.start_server([pki.rsa[0]], extra="handshake_timeout = 1s")
    for data in (b"", b"\0" * 95, os.urandom(96), b"\0" * 96, os.urandom(5000), b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + b"\0" * 500):
        assert probe(server, data) == b""
    server.admin.wait_metric(r"keyless_server_.*dropped_total", 7)


def test_a_silent_stranger_is_dropped_at_the_deadline(site, pki):
    server = site.start_server([pki.rsa[0]], extra="handshake_timeout = 500ms")
    with socket.create_connection((server.host, server.port), timeout=20) as raw:
        raw.sendall(b"\0" * 50)
        try:
            assert raw.recv(1) == b""
        except ConnectionResetError:
            pass
    server.wait_log(r"event=edge_dropped.*deadline")


def test_strangers_do_not_keep_an_edge_out(site, pki, origin):
    """Half-open connections are capped; a real edge connects all the same once they time out, and the process stays small."""
    server = site.start_server([pki.rsa[0]], extra="half_open_max = 50\nhandshake_timeout = 1s\nhandshakes_per_second = 0")
    crowd = [socket.create_connection((server.host, server.port)) for _ in range(200)]
    server.admin.wait_metric(r"keyless_server_.*dropped_total\{.*half_open", 50)
    edge = site.start_edge([server], [pki.rsa[1]], origin.address)
    ok, text = clients.s_client(edge, "rsa.test", pki.ca, *RSA)
    assert ok, text
    for raw in crowd:
        raw.close()
    wait_until(lambda: server.admin.get("/live")[0] == 200, "alive")


def crowd_of(server, count, addresses):
    """COUNT connections that say nothing, from ADDRESSES loopback addresses, each in a /24 of its own."""
    crowd = []
    for i in range(count):
        raw = socket.socket()
        raw.setblocking(False)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.bind(("127.1.%d.1" % (i % addresses), 0))
        raw.connect_ex((server.host, server.port))
        crowd.append(raw)
    return crowd


def test_ten_thousand_idle_strangers_do_not_delay_an_edge(site, pki):
    """Each edge comes in at once, while all places are taken by connections that stay for a minute."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = site.start_server([pki.rsa[0]], extra="handshake_timeout = 60s\nhandshakes_per_second = 0")
    crowd, took = [], []
    try:
        for _ in range(20):
            crowd += crowd_of(server, 500, 100)
            begun = time.monotonic()
            asker = tls12.Asker(program("tests/peer_ask"), server, site.edge_identity, site.psk_path)
            assert asker.ask("keys")[0] == "ok"
            took.append(time.monotonic() - begun)
            asker.close()
        server.admin.wait_metric(r"keyless_server_.*dropped_total\{.*half_open", 8000)
    finally:
        for raw in crowd:
            raw.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sorted(took)[10] < 1, took


def test_an_edge_that_takes_itself_for_its_key_server_says_so_when_it_is_tested(site, pki):
    config = site.edge_config([("127.0.0.1:1", site.edge_identity.public)], [pki.p256[1]], "127.0.0.1:1")
    done = subprocess.run([program("keyless-edge"), "-t", "-c", config], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert re.search(r"edge\.conf:\d+: key_server ks1: key is this edge's own public key, of %s;" % re.escape(site.edge_identity.path), done.stderr), done.stderr


def test_a_key_server_whose_edge_has_its_own_key_says_so_when_it_is_tested_started_and_reloaded(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address)
    path = os.path.join(server.folder, "authorized_edges")
    write(path, site.authorized_line() + site.authorized_line("edge2", server.identity))
    line = "%s:2: the key of edge edge2 is this key server's own;" % path
    for options in (["-t"], []):
        done = subprocess.run([program("keyless-server"), *options, "-c", server.config], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 2 and line in done.stderr, done.stderr
    mark = server.mark()
    server.send_signal(signal.SIGHUP)
    assert line in server.wait_log(r"event=edges_kept\b", mark)
    assert b"from the origin" in clients.fetch(edge, "rsa.test", clients.context(pki.ca))


@pytest.mark.parametrize("file", ["lost", "replaced"])
def test_a_net_process_that_comes_back_has_the_identity_of_the_start(site, pki, file):
    """The edges know the key server by it, and no other process but the supervisor and this one has it."""
    server = site.start_server([pki.p256[0]])
    with open(server.identity.path) as handle:
        secret = base64.b64decode(handle.read())
    ask = lambda: tls12.Asker(program("tests/peer_ask"), server, site.edge_identity, site.psk_path)  # noqa: E731
    os.rename(server.identity.path, server.identity.path + ".away")
    if file == "replaced":
        write(server.identity.path, keyless("genkey").stdout, 0o400)
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    line = server.wait_log("event=identity_kept", since)
    assert ("is another one now" if file == "replaced" else "no such file") in line and "until a restart" in line, line
    server.wait_log("event=reloaded", since)
    since = server.mark()
    os.kill(server.children()["keyless-net"], signal.SIGKILL)
    server.wait_log("event=vault_ready cause=restart", since)
    asker = ask()
    try:
        assert asker.ask("sign_tls13", key_id(pki.p256[1]), "0403", "11" * 32)[0] == "ok"
    finally:
        asker.close()
    holders = {"keyless-net": {"identity"}, "keyless-loader": set(), "keyless-vault": set()}
    try:
        assert {name: keysearch.in_process(server.children()[name], {"identity": [secret]}) for name in holders} == holders
    except PermissionError:
        pytest.skip("needs root (or CAP_SYS_PTRACE) to read another process's memory")
