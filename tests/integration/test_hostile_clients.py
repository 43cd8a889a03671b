"""Clients that vanish while waiting for a key, half-close, send rubbish or stall at every step: nothing is leaked, others are served."""
import os
import socket
import ssl
import time

import pytest

import clients
from daemon import SLOW, descriptors, rss_kb, wait_until
from relay import Relay

ABORTS = 10000 if SLOW == 1 else 1000
GROWTH_KB = 4096 if SLOW == 1 else 64 * 1024


def hello_bytes(pki, name="rsa.test", ciphers="AES128-GCM-SHA256"):
    """A ClientHello as a real client sends it, without a network; and the object that made it."""
    tls = clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, ciphers)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = tls.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read(), session, incoming, outgoing


def key_exchange_sent(edge, pki):
    """A raw socket whose RSA handshake is at the point where the edge needs the key."""
    first, session, incoming, outgoing = hello_bytes(pki)
    raw = socket.create_connection((edge.host, edge.port), timeout=20 * SLOW)
    raw.sendall(first)
    while True:
        data = raw.recv(65536)
        if not data:
            raise AssertionError("the edge closed during the handshake")
        incoming.write(data)
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        second = outgoing.read()
        if second:
            raw.sendall(second)
            return raw


@pytest.fixture
def slow_site(site, pki, origin):
    """(edge, relay): a key server 300 ms away."""
    server = site.start_server([pki.rsa[0]])
    relay = Relay(server.host, server.port, delay=0.15)
    edge = site.start_edge([(relay.address, server.identity.public)], [pki.rsa[1]], origin.address,
                           timeouts="handshake = %ds" % (2 * SLOW), extra="access_log = off")
    yield edge, relay
    relay.close()


def still_serves(edge, pki):
    ok, text = clients.s_client(edge, "rsa.test", pki.ca, "-tls1_2", "-cipher", "AES128-GCM-SHA256")
    assert ok, text


def all_gone(edge):
    wait_until(lambda: edge.admin.metric(r"keyless_edge_connections_active$") == 0, "no connection is left")


@pytest.mark.parametrize("leave", [socket.socket.close, clients.reset], ids=["fin", "reset"])
def test_clients_that_vanish_while_waiting_for_a_key(slow_site, pki, leave):
    edge, _ = slow_site
    for _ in range(3):
        crowd = [key_exchange_sent(edge, pki) for _ in range(30)]
        edge.admin.wait_metric(r"keyless_edge_handshakes_waiting", 1)
        for raw in crowd:
            leave(raw)
    all_gone(edge)
    still_serves(edge, pki)


def test_ten_thousand_aborts_leave_memory_where_it_was(slow_site, pki):
    edge, relay = slow_site
    relay.delay = 0.02

    def storm(count):
        done = 0
        while done < count:
            crowd = [key_exchange_sent(edge, pki) for _ in range(min(50, count - done))]
            for raw in crowd:
                clients.reset(raw)
            done += len(crowd)
        all_gone(edge)

    storm(ABORTS // 10)
    memory, files = rss_kb(edge.pid), descriptors(edge.pid)
    storm(ABORTS)
    wait_until(lambda: descriptors(edge.pid) <= files, "descriptors are back at %d" % files)
    assert rss_kb(edge.pid) - memory < GROWTH_KB
    still_serves(edge, pki)


def partial(pki, step):
    first, _, _, _ = hello_bytes(pki)
    return {"nothing": b"", "one byte": first[:1], "record header": first[:5], "half a hello": first[:60], "hello": first,
            "rubbish": os.urandom(500), "http": b"GET / HTTP/1.0\r\n\r\n", "huge record": b"\x16\x03\x01\xff\xff" + b"\0" * 2000,
            "empty records": b"\x16\x03\x01\x00\x00" * 200, "ssl2": b"\x80\x2e\x01\x00\x02" + b"\0" * 60}[step]


STEPS = ["nothing", "one byte", "record header", "half a hello", "hello", "rubbish", "http", "huge record", "empty records", "ssl2"]


@pytest.mark.parametrize("step", STEPS)
def test_clients_that_stall(slow_site, pki, step):
    """Each is closed at the handshake's deadline at the latest, though it keeps its side open."""
    edge, _ = slow_site
    begin = time.monotonic()
    with socket.create_connection((edge.host, edge.port), timeout=30 * SLOW) as raw:
        raw.sendall(partial(pki, step))
        try:
            clients.read_all(raw)
        except ConnectionResetError:
            pass
        assert time.monotonic() - begin < 6 * SLOW
    all_gone(edge)
    still_serves(edge, pki)


@pytest.mark.parametrize("step", STEPS)
def test_clients_that_half_close(slow_site, pki, step):
    edge, _ = slow_site
    with socket.create_connection((edge.host, edge.port), timeout=30 * SLOW) as raw:
        try:
            raw.sendall(partial(pki, step))
            raw.shutdown(socket.SHUT_WR)
            clients.read_all(raw)
        except OSError:
            pass
    all_gone(edge)
    still_serves(edge, pki)


def test_a_stall_after_the_key_exchange(slow_site, pki):
    """ClientKeyExchange without Finished: the key operation is done, the session still ends at its deadline."""
    edge, _ = slow_site
    first, session, incoming, outgoing = hello_bytes(pki)
    with socket.create_connection((edge.host, edge.port), timeout=30 * SLOW) as raw:
        raw.sendall(first)
        while True:
            incoming.write(raw.recv(65536))
            try:
                session.do_handshake()
            except ssl.SSLWantReadError:
                pass
            second = outgoing.read()
            if second:
                break
        length = 5 + int.from_bytes(second[3:5], "big")
        raw.sendall(second[:length])
        try:
            clients.read_all(raw)
        except ConnectionResetError:
            pass
    all_gone(edge)
    still_serves(edge, pki)


def test_an_idle_connection_is_closed(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts="idle = 500ms")
    with clients.connect(edge, "rsa.test", clients.context(pki.ca)) as connection:
        connection.settimeout(20 * SLOW)
        assert connection.recv(1) == b""
    all_gone(edge)


def test_more_connections_than_allowed_wait_for_their_turn(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, extra="connections_max = 4")
    tls = clients.context(pki.ca)
    crowd = [clients.connect(edge, "rsa.test", tls) for _ in range(4)]
    waiting = socket.create_connection((edge.host, edge.port), timeout=20 * SLOW)
    assert edge.admin.metric(r"keyless_edge_connections_active$") <= 5
    for connection in crowd:
        connection.close()
    with tls.wrap_socket(waiting, server_hostname="rsa.test") as connection:
        connection.sendall(clients.REQUEST)
        assert b"from the origin" in clients.read_all(connection)
