"""Clients that vanish while waiting for a key, half-close, send rubbish or stall at every step: nothing is leaked, others are served."""
import os
import socket
import ssl
import subprocess
import time

import pytest

import clients
from daemon import PATIENCE, SLOW, descriptors, program, rss_kb, wait_until
from processes import start
from relay import Relay
from tls12_client import Client

ABORTS = 10000 if SLOW == 1 else 1000
CROWD = 50
GROWTH_KB = 1024  # a hundred bytes an abort would show
EPISODE_SECONDS = 10  # what stays away for so long is told again


def hello_bytes(pki, version=ssl.TLSVersion.TLSv1_2, ciphers=clients.RSA_KX, name="rsa.test"):
    """A ClientHello as a real client sends it, without a network; and the object that made it."""
    tls = clients.context(pki.ca, version, ciphers)
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


def relayed_site(site, pki, origin, delay, timeouts):
    server = site.start_server([pki.rsa[0]])
    relay = Relay(server.host, server.port, delay=delay)
    edge = site.start_edge([(relay.address, server.identity.public)], [pki.rsa[1]], origin.address, timeouts=timeouts,
                           extra="access_log = off")
    yield edge, relay
    relay.close()


@pytest.fixture
def slow_site(site, pki, origin):
    """(edge, relay): a key server 300 ms away."""
    yield from relayed_site(site, pki, origin, 0.15, "handshake = %ds" % (2 * SLOW))


@pytest.fixture
def patient_site(site, pki, origin):
    """(edge, relay): whose clients may take as long as the test does, before and after the handshake."""
    yield from relayed_site(site, pki, origin, 0, "key = 60s handshake = 600s idle = 1h")


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


def test_ten_thousand_aborts_leave_memory_where_it_was(site, patient_site, pki):
    """Each leaves while the edge waits for its key, whose answer then comes for nobody."""
    edge, relay = patient_site
    watched = {"edge": edge.pid, **site.daemons[0].children()}
    assert {"edge", "keyless-net", "keyless-vault", "keyless-loader"} <= set(watched), watched
    aborted = r"keyless_edge_handshake_failures_total{reason=\"client_gone\"}"
    stray = r"keyless_edge_key_server_stray_answers_total"

    def storm(count):
        before, unwanted = edge.admin.metric(aborted), edge.admin.metric(stray)
        for done in range(0, count, CROWD):
            relay.stall()
            crowd = [key_exchange_sent(edge, pki) for _ in range(CROWD)]
            edge.admin.wait_metric(r"keyless_edge_handshakes_waiting", CROWD)
            for raw in crowd:
                clients.reset(raw)
            all_gone(edge)
            relay.resume()
            edge.admin.wait_metric(stray, unwanted + done + CROWD)
        assert edge.admin.metric(aborted) - before == count

    storm(ABORTS // 10)
    memory = {name: rss_kb(pid) for name, pid in watched.items()}
    files, begin = descriptors(edge.pid), time.monotonic()
    storm(ABORTS)
    print("%d aborts in %.1f s" % (ABORTS, time.monotonic() - begin))
    for name, pid in watched.items():
        print("%s: %d KB before, %d KB after" % (name, memory[name], rss_kb(pid)))
        # A sanitizer keeps what was freed for a while; it reports leaks itself at the end.
        assert SLOW > 1 or rss_kb(pid) - memory[name] < GROWTH_KB
    wait_until(lambda: descriptors(edge.pid) <= files, "descriptors are back at %d" % files)
    still_serves(edge, pki)


RANDOM = slice(11, 43)  # of a ClientHello, behind the headers of record and message


def with_random(hello, random):
    return hello[:RANDOM.start] + random + hello[RANDOM.stop:]


@pytest.mark.parametrize("name, step", [("rsa.test", "ecdhe hello"), ("rsa.test", "1.3 hello")], ids=["tls12", "tls13"])
@pytest.mark.parametrize("end", ["deadline", "leave", "answer"])
def test_a_client_random_of_zeros_is_one_like_any_other(slow_site, pki, name, step, end):
    """Whoever chooses it waits for its key as others do, and whatever ends the wait ends the key operation, too."""
    edge, relay = slow_site
    hello = with_random(hello_bytes(pki, name=name, **HELLOS[step])[0], bytes(32))
    relay.stall()
    crowd = [socket.create_connection((edge.host, edge.port), timeout=30 * SLOW) for _ in range(CROWD)]
    for raw in crowd:
        raw.sendall(hello)
    if end == "leave":
        edge.admin.wait_metric(r"keyless_edge_handshakes_waiting", CROWD)
        for raw in crowd:
            clients.reset(raw)
        all_gone(edge)
    elif end == "deadline":
        edge.admin.wait_metric(r"keyless_edge_handshake_failures_total{reason=\"key_timeout\"}", CROWD)
        all_gone(edge)
    relay.resume()
    if end == "answer":
        for raw in crowd:
            assert raw.recv(5)[0] == 22, "no handshake record came back"
    for raw in crowd:
        raw.close()
    all_gone(edge)
    assert edge.admin.metric(r"keyless_edge_handshakes_waiting") == 0
    assert edge.admin.metric(r"keyless_edge_sessions_impossible_total") == 0
    still_serves(edge, pki)


def test_a_session_whose_client_random_is_zeros_is_relayed(slow_site, pki):
    """A whole TLS 1.2 handshake by hand: the session takes the same steps, and its trace is found by that random."""
    edge, relay = slow_site
    relay.delay = 0
    with socket.create_connection((edge.host, edge.port), timeout=30 * SLOW) as raw:
        client = Client(raw, bytes(32), pki.rsa[1])
        client.handshake()
        client.send(clients.REQUEST)
        assert b"from the origin" in client.receive()
    all_gone(edge)
    status, text = edge.admin.get("/trace/" + bytes(32).hex())
    assert status == 200 and "first_byte" in text, text
    assert edge.admin.metric(r"keyless_edge_handshakes_total{kind=\"rsa") == 1
    assert edge.admin.metric(r"keyless_edge_sessions_impossible_total") == 0
    still_serves(edge, pki)


def partial(pki, step):
    first = hello_bytes(pki, **HELLOS.get(step, {}))[0]
    return {"nothing": b"", "one byte": first[:1], "record header": first[:5], "half a hello": first[:60],
            **dict.fromkeys(HELLOS, first),
            "rubbish": os.urandom(500), "http": b"GET / HTTP/1.0\r\n\r\n", "huge record": b"\x16\x03\x01\xff\xff" + b"\0" * 2000,
            "empty records": b"\x16\x03\x01\x00\x00" * 200, "ssl2": b"\x80\x2e\x01\x00\x02" + b"\0" * 60}[step]


# The last two have the edge ask for a key before its first flight, in which they then stall.
HELLOS = {"rsa hello": {}, "ecdhe hello": {"ciphers": "ECDHE-RSA-AES128-GCM-SHA256"},
          "1.3 hello": {"version": ssl.TLSVersion.TLSv1_3, "ciphers": None}}
STEPS = ["nothing", "one byte", "record header", "half a hello", *HELLOS, "rubbish", "http", "huge record", "empty records", "ssl2"]


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


def test_a_hello_in_drops_gets_no_more_time(slow_site, pki):
    """A byte now and then, each in good time: the deadline is the handshake's, not the next byte's."""
    edge, _ = slow_site
    first, begin = hello_bytes(pki)[0], time.monotonic()
    with socket.create_connection((edge.host, edge.port), timeout=0.1 * SLOW) as raw:
        for byte in first:
            try:
                raw.sendall(bytes([byte]))
                if not raw.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            raise AssertionError("the whole hello was taken, %d bytes" % len(first))
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


def test_an_edge_that_stays_full_says_so_once(site, pki, origin):
    """Whenever a client leaves, one of those who wait comes in, and the edge is full again."""
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, extra="connections_max = 1")
    paused = r'keyless_edge_accept_paused_total\{cause="connections_max"'
    begin = time.monotonic()
    queue = [socket.create_connection((edge.host, edge.port), timeout=20 * SLOW) for _ in range(20)]
    for raw in queue:
        raw.sendall(b"\x16")  # the kernel shows it to the edge now
    for count, raw in enumerate(queue, 1):
        edge.admin.wait_metric(paused, count)
        clients.reset(raw)
    all_gone(edge)
    edge.stop()
    assert 1 <= len(edge.find("event=accept_paused")) <= 1 + (time.monotonic() - begin) // EPISODE_SECONDS


def test_renegotiations_without_end_are_ended(patient_site, pki):
    """OpenSSL answers each with a warning and reads on within the same call, so one client could hold a thread."""
    edge, _ = patient_site
    with socket.create_connection((edge.host, edge.port), timeout=30 * SLOW) as raw:
        client = Client(raw, os.urandom(32), pki.rsa[1])
        client.handshake()
        with pytest.raises(OSError):
            for _ in range(1000):
                client.renegotiate()
    all_gone(edge)
    assert edge.admin.metric(r'keyless_edge_connections_closed_total\{result="client_error"') == 1
    still_serves(edge, pki)


def test_a_flood_of_key_updates_holds_nobody_up(patient_site, pki):
    """One client, as many KeyUpdates as the connection takes: it is closed after a few, and others do not notice. It prepares
    them when its handshake is done, which takes it a while."""
    edge, _ = patient_site
    flood = start([program("tests/peer_flood"), str(edge.port), "rsa.test"], stdout=subprocess.PIPE, text=True)
    try:
        assert flood.stdout.readline() == "flooding\n"
        still_serves(edge, pki)
        assert flood.wait(timeout=PATIENCE) == 0, "the edge takes them all"
    finally:
        flood.kill()
        flood.wait()
        flood.stdout.close()
    all_gone(edge)
    assert edge.admin.metric(r'keyless_edge_connections_closed_total\{result="client_error"') == 1
    still_serves(edge, pki)


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)])
def test_a_load_balancer_that_sends_the_proxy_protocol_is_named(slow_site, pki, header):
    edge, _ = slow_site
    since = edge.mark()
    with socket.create_connection((edge.host, edge.port), timeout=30 * SLOW) as raw:
        raw.sendall(header + hello_bytes(pki)[0])
        clients.read_all(raw)
    line = edge.wait_log("event=handshake_failed", since)
    assert "begins with a PROXY protocol header, which is not supported: take send-proxy" in line, line
    still_serves(edge, pki)
