"""The way to the origin: down, slow, closing early, bulk both ways with back-pressure, half-close, unix socket."""
import os
import hashlib
import socket
import ssl
import threading
import time

import pytest

import clients
from daemon import SLOW, rss_kb, wait_until
from origin import HttpOrigin, RawOrigin, dead_port

BULK = (100 << 20) if SLOW == 1 else (10 << 20)
MEMORY_KB = 8 * 1024 if SLOW == 1 else 128 * 1024


@pytest.fixture
def edge_for(site, pki):
    """Starts a key server and an edge before ORIGIN."""
    def start(address, **options):
        server = site.start_server([pki.rsa[0]])
        return site.start_edge([server], [pki.rsa[1]], address, **options)
    return start


@pytest.fixture
def raw_origin():
    running = []

    def start(handle):
        running.append(RawOrigin(handle))
        return running[-1]
    yield start
    for origin in running:
        origin.close()


def connected(edge, pki):
    return clients.connect(edge, "rsa.test", clients.context(pki.ca), seconds=60 * SLOW)


def test_unix_socket_origin(edge_for, pki, tmp_path):
    origin = HttpOrigin(str(tmp_path / "origin.sock"))
    # The folder is closed to others, and with it the socket to whom an edge becomes that root starts.
    edge = edge_for(origin.address, extra='user = "root"' if os.geteuid() == 0 else "")
    ok, text = clients.curl(edge, "rsa.test", pki.ca)
    assert ok, text
    origin.close()


def test_origin_down(edge_for, pki):
    with dead_port() as address:
        edge = edge_for(address)
        with connected(edge, pki) as connection:
            try:
                assert clients.read_all(connection) == b""
            except (ssl.SSLError, ConnectionResetError):
                pass
        edge.wait_log(r"event=origin_failed")
        edge.admin.wait_metric(r'keyless_edge_connections_closed_total\{result="origin_failed"')


def test_an_origin_for_each_protocol(edge_for, raw_origin, pki):
    """No client of one protocol reaches the origin of another; who agrees on none goes to the default one."""
    one, two = (raw_origin(lambda connection, name=name: connection.sendall(name)) for name in (b"one", b"two"))
    edge = edge_for(one.address, tls='alpn = {"h2", "http/1.1"}', extra='origin_for "h2" { address = "%s" }' % two.address)
    for offered, agreed, origin in ((["h2", "http/1.1"], "h2", b"two"), (["http/1.1", "h2"], "h2", b"two"),
                                    (["http/1.1"], "http/1.1", b"one"), (["http/1.0"], "http/1.0", b"one"), ([], None, b"one")):
        tls = clients.context(pki.ca)
        if offered:
            tls.set_alpn_protocols(offered)
        with clients.connect(edge, "rsa.test", tls) as connection:
            assert connection.selected_alpn_protocol() == agreed
            connection.sendall(b"?")
            assert clients.read_all(connection) == origin, offered
    edge.wait_log(r"event=connection .*alpn=h2 .*origin_for=h2 ")
    edge.wait_log(r"event=connection .*alpn=http/1.0 .*origin_for=default ")
    assert edge.admin.metric(r'keyless_edge_origin_connections_total{origin_for="h2"}') == 2
    assert edge.admin.metric(r'keyless_edge_origin_connections_total{origin_for="default"}') == 3
    assert edge.admin.status()["origins"] == {"default": one.address, "h2": two.address}


def test_an_origin_that_is_down_takes_no_other_protocol_with_it(edge_for, raw_origin, pki):
    one = raw_origin(lambda connection: connection.sendall(b"one"))
    with dead_port() as address:
        edge = edge_for(one.address, tls='alpn = {"h2", "http/1.1"}', extra='origin_for "h2" { address = "%s" }' % address)
        tls = clients.context(pki.ca)
        tls.set_alpn_protocols(["h2"])
        with clients.connect(edge, "rsa.test", tls) as connection:
            try:
                connection.sendall(b"?")
                assert clients.read_all(connection) == b""
            except (ssl.SSLError, ConnectionResetError):
                pass
        edge.wait_log(r"event=origin_failed .*origin=%s origin_for=h2 " % address)
        assert edge.admin.metric(r'keyless_edge_origin_failures_total{origin_for="h2"}') == 1
        assert edge.admin.metric(r'keyless_edge_origin_failures_total{origin_for="default"}') == 0
        with connected(edge, pki) as connection:
            connection.sendall(b"?")
            assert clients.read_all(connection) == b"one"


def test_slow_origin_is_waited_for(edge_for, raw_origin, pki):
    gate = threading.Event()

    def handle(connection):
        connection.recv(65536)
        gate.wait(20)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nlate but there")

    edge = edge_for(raw_origin(handle).address)
    with connected(edge, pki) as connection:
        connection.sendall(clients.REQUEST)
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        gate.set()
        connection.settimeout(20 * SLOW)
        assert b"late but there" in clients.read_all(connection)


def test_origin_closes_early(edge_for, raw_origin, pki):
    edge = edge_for(raw_origin(lambda connection: connection.sendall(b"bye")).address)
    with connected(edge, pki) as connection:
        assert clients.read_all(connection) == b"bye"


def test_the_origin_is_connected_by_the_first_words(edge_for, raw_origin, pki):
    """Who leaves without a word, in order or not, costs the origin nothing."""
    seen = []

    def handle(connection):
        seen.append(connection.recv(65536))
        connection.sendall(b"heard")

    edge = edge_for(raw_origin(handle).address, timeouts="silence = 1m")
    connected(edge, pki).close()
    with connected(edge, pki) as connection:
        connection.unwrap()
    wait_until(lambda: edge.admin.metric(r"keyless_edge_connections_closed_total") == 2, "both are gone")
    with connected(edge, pki) as connection:
        connection.sendall(b"first words")
        assert clients.read_all(connection) == b"heard"
    assert seen == [b"first words"]


def test_origin_resets(edge_for, raw_origin, pki):
    edge = edge_for(raw_origin(clients.reset).address)
    with connected(edge, pki) as connection:
        try:
            assert clients.read_all(connection) == b""
        except (ssl.SSLError, ConnectionResetError):
            pass
    wait_until(lambda: edge.admin.metric(r"keyless_edge_connections_active$") == 0, "the connection is gone")


def test_half_close_by_the_client(edge_for, raw_origin, pki):
    """The client ends its side with close_notify; the origin sees the end and may still answer."""
    def handle(connection):
        data = clients.read_all(connection)
        connection.sendall(b"%d bytes came" % len(data))

    edge = edge_for(raw_origin(handle).address)
    raw = socket.create_connection((edge.host, edge.port), timeout=20 * SLOW)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = clients.context(pki.ca).wrap_bio(incoming, outgoing, server_hostname="rsa.test")

    def pump(step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))

    pump(session.do_handshake)
    session.write(b"x" * 1000)
    raw.sendall(outgoing.read())
    try:
        session.unwrap()  # writes close_notify, then wants the other side's
    except ssl.SSLWantReadError:
        pass
    raw.sendall(outgoing.read())
    answer = b""
    while b"came" not in answer:
        data = raw.recv(65536)
        assert data, "the edge closed before the origin's answer"
        incoming.write(data)
        try:
            answer += session.read(65536)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
    assert answer == b"1000 bytes came"
    raw.close()


def pattern(size):
    block = hashlib.sha512(b"keyless").digest() * 1024
    for at in range(0, size, len(block)):
        yield block[:size - at]


def digest(parts):
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


def receive_slowly(connection, size, edge, peak):
    """Reads SIZE bytes with a pause now and then, and keeps the edge's largest memory."""
    total, left, count = hashlib.sha256(), size, 0
    while left > 0:
        data = connection.recv(min(left, 1 << 18))
        assert data, "ended %d bytes early" % left
        total.update(data)
        left -= len(data)
        count += 1
        if count % 200 == 0:
            peak.append(rss_kb(edge.pid))
            time.sleep(0.02)
    return total.hexdigest()


def test_bulk_both_ways_with_a_slow_reader(edge_for, raw_origin, pki):
    """Bytes arrive as they were sent, in both directions at once, and the edge's memory stays bounded."""
    seen = {}

    def handle(connection):
        sender = threading.Thread(target=lambda: [connection.sendall(p) for p in pattern(BULK)])
        sender.start()
        total, left = hashlib.sha256(), BULK
        while left > 0:
            data = connection.recv(min(left, 1 << 18))
            if not data:
                break
            total.update(data)
            left -= len(data)
        seen["digest"] = total.hexdigest()
        sender.join()

    edge = edge_for(raw_origin(handle).address, timeouts="idle = 60s")
    expected, before, peak = digest(pattern(BULK)), rss_kb(edge.pid), []
    connection = connected(edge, pki)
    # Python's ssl object may not be used by two threads at once: up first, then down, while the origin sends all along.
    for part in pattern(BULK):
        connection.sendall(part)
    assert receive_slowly(connection, BULK, edge, peak) == expected
    wait_until(lambda: "digest" in seen, "the origin has it all")
    assert seen["digest"] == expected
    assert max(peak) - before < MEMORY_KB
    connection.close()


def test_a_client_that_does_not_read_holds_the_origin_back(edge_for, raw_origin, pki):
    """The edge stops taking what it cannot pass on; when the client reads again, nothing is missing."""
    sent, held = [0], threading.Event()

    def handle(connection):
        connection.settimeout(2)
        try:
            while sent[0] < BULK:
                sent[0] += connection.send(b"x" * 65536)
        except TimeoutError:
            held.set()

    edge = edge_for(raw_origin(handle).address)
    before = rss_kb(edge.pid)
    with connected(edge, pki) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        assert held.wait(60 * SLOW) and sent[0] < BULK
        assert rss_kb(edge.pid) - before < MEMORY_KB
        assert len(clients.read_all(connection)) == sent[0]
