"""An edge that stands still for longer than its timeouts, as on a machine that is overloaded, suspended or moved: what has come
meanwhile counts as if it had come in time."""
import concurrent.futures
import contextlib
import os
import signal
import socket
import ssl
import time

import pytest

import clients
from daemon import SLOW, wait_until
from relay import Relay

KEY_SECONDS, HANDSHAKE_SECONDS = 1 * SLOW, 2 * SLOW
TIMEOUTS = "key = %ds handshake = %ds" % (KEY_SECONDS, HANDSHAKE_SECONDS)
KINDS = {
    "tls13": (ssl.TLSVersion.TLSv1_3, None),
    "ecdhe": (ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"),
    "rsa": (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"),
}


@contextlib.contextmanager
def stopped(daemon):
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


def unread(port):
    """Bytes that have come from PORT and were not read."""
    with open("/proc/net/tcp") as handle:
        rows = [line.split() for line in handle.readlines()[1:]]
    return sum(int(row[4].split(":")[1], 16) for row in rows if row[2].endswith(":%04X" % port))


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_servers_answer_that_is_there_is_used(site, pki, origin, kind):
    server = site.start_server([pki.rsa[0]])
    relay = Relay(server.host, server.port)
    edge = site.start_edge([(relay.address, server.identity.public)], [pki.rsa[1]], origin.address, timeouts=TIMEOUTS,
                           tls="rsa_key_exchange = on tickets = off")
    edge.wait_epochs()
    relay.stall()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        page = pool.submit(clients.fetch, edge, "rsa.test", clients.context(pki.ca, *KINDS[kind]))
        edge.admin.wait_metric("keyless_edge_handshakes_waiting", 1)
        with stopped(edge):
            end = time.monotonic() + KEY_SECONDS + 0.2
            relay.resume()
            wait_until(lambda: unread(relay.port) > 0, "the answer has come")
            time.sleep(max(0, end - time.monotonic()))
        assert b"from the origin" in page.result()
    assert not edge.find("event=handshake_failed")
    relay.close()


def flight(tls, outgoing):
    """One step of the client's handshake; returns what it sends."""
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_what_a_client_has_sent_in_time_is_read(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, timeouts=TIMEOUTS)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = clients.context(pki.ca, *KINDS["tls13"]).wrap_bio(incoming, outgoing, server_hostname="rsa.test")
    with socket.create_connection((edge.host, edge.port), timeout=clients.SECONDS) as connection:
        connection.sendall(flight(tls, outgoing))
        finished = b""
        while not finished:
            data = connection.recv(65536)
            assert data
            incoming.write(data)
            finished = flight(tls, outgoing)
        with stopped(edge):
            tls.write(clients.REQUEST)
            connection.sendall(finished + outgoing.read())
            time.sleep(HANDSHAKE_SECONDS + 0.2)
        page = b""
        while b"from the origin" not in page:
            data = connection.recv(65536)
            assert data, "\n".join(edge.find("event="))
            incoming.write(data)
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                while more := tls.read(65536):  # one record at a time
                    page += more
    assert not edge.find("event=handshake_failed")
