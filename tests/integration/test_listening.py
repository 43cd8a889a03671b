"""Who listens: one daemon an address, whichever way two of them come to be started, and no gap when one follows the other."""
import re
import signal
import socket
import ssl
import subprocess

import pytest

import clients
from daemon import Daemon, descriptors, program
from fleet import Edge

AT_ONCE = 4
DESCRIPTORS = 128
IN_USE = r":%d: in use already; .*ss -ltnp sport = :%d"


def free_port(host):
    """A port at which nobody listens; nothing of it stays."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((host.strip("[]"), 0))
            return probe.getsockname()[1]
    except OSError:
        pytest.skip("no address %s here" % host)


def refused(config, name="keyless-edge"):
    """What a daemon that cannot start says; it must end by itself, with a failure."""
    done = subprocess.run([program(name), "-c", config], capture_output=True, text=True, timeout=60)
    assert done.returncode not in (0, -signal.SIGKILL), done.stderr
    return done.stderr


@pytest.mark.parametrize("first, second", [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"),
                                           ("[::]", "127.0.0.1"), ("[::1]", "[::]"), ("[::1]", "[::1]")])
def test_a_second_edge_on_the_port_does_not_start(site, pki, origin, first, second):
    """It says who to look for; the first goes on serving all the clients."""
    port = free_port(first)
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address, threads=2, listen="%s:%d" % (first, port))
    pair = [(server.address, server.identity.public)]
    said = refused(site.edge_config(pair, [pki.rsa[1]], origin.address, threads=2, listen="%s:%d" % (second, port)))
    assert re.search(IN_USE % (port, port), said), said
    edge.host = "::1" if first == "[::1]" else "127.0.0.1"
    for _ in range(4):
        assert b"from the origin" in clients.fetch(edge, "rsa.test", clients.context(pki.ca))


def test_of_edges_that_start_at_once_one_listens(site, pki, origin):
    port = free_port("127.0.0.1")
    server = site.start_server([pki.rsa[0]])
    configs = [site.edge_config([(server.address, server.identity.public)], [pki.rsa[1]], origin.address, threads=2,
                                listen="127.0.0.1:%d" % port) for _ in range(AT_ONCE)]
    running = [Daemon([program("keyless-edge"), "-c", config]) for config in configs]
    try:
        for one in running:
            one.wait_log(r"event=started\b|" + IN_USE % (port, port))
        listening = [one for one in running if one.find(r"event=started\b")]
        assert len(listening) == 1
        assert all(one.wait_exit() != 0 for one in running if one not in listening)
        assert listening[0].stop() == 0
    finally:
        for one in running:
            one.kill()


def test_an_edge_starts_while_the_one_before_it_drains(site, pki, origin):
    """Connections of the old one that are open, and those that it has closed (TIME_WAIT), keep nobody from the port."""
    server = site.start_server([pki.rsa[0]])
    tls = clients.context(pki.ca, ssl.TLSVersion.TLSv1_2)
    old = site.start_edge([server], [pki.rsa[1]], origin.address, threads=2)
    assert b"from the origin" in clients.fetch(old, "rsa.test", tls)
    with clients.connect(old, "rsa.test", tls) as held:
        old.send_signal(signal.SIGTERM)
        old.wait_log(r"event=draining")
        new = site.start_edge([server], [pki.rsa[1]], origin.address, threads=2, listen="127.0.0.1:%d" % old.port)
        assert b"from the origin" in clients.fetch(new, "rsa.test", tls)
        held.sendall(clients.REQUEST)
        assert b"from the origin" in clients.read_all(held)
    assert old.wait_exit() == 0


def test_one_edge_may_listen_at_an_address_and_at_all_of_them(site, pki, origin):
    port = free_port("0.0.0.0")
    server = site.start_server([pki.rsa[0]])
    config = site.edge_config([(server.address, server.identity.public)], [pki.rsa[1]], origin.address, threads=2,
                              listen='127.0.0.1:%d", "0.0.0.0:%d' % (port, port))
    edge = Edge(config)
    site.daemons.append(edge)
    edge.wait_ready()
    edge.host = "127.0.0.1"
    for _ in range(4):
        assert b"from the origin" in clients.fetch(edge, "rsa.test", clients.context(pki.ca))


@pytest.mark.parametrize("second", ["127.0.0.1", "0.0.0.0"])
def test_a_second_key_server_on_the_port_does_not_start(site, pki, second):
    server = site.start_server([pki.rsa[0]])
    _, config, _ = site.server_folder([pki.rsa[0]], listen="%s:%d" % (second, server.port))
    said = refused(config, "keyless-server")
    assert re.search(IN_USE % (server.port, server.port), said), said


@pytest.mark.skipif(not clients.have("prlimit"), reason="prlimit (package util-linux) is missing")
def test_an_edge_short_of_descriptors_says_so_and_goes_on(site, pki, origin):
    """More idle clients than it has descriptors for: it keeps some for its administrator, and serves again when they leave."""
    server = site.start_server([pki.rsa[0]])
    config = site.edge_config([(server.address, server.identity.public)], [pki.rsa[1]], origin.address, timeouts="handshake = 600s")
    edge = Edge(config, inside=["prlimit", "--nofile=%d:%d" % (DESCRIPTORS, DESCRIPTORS)])
    site.daemons.append(edge)
    edge.wait_ready()
    crowd = [socket.create_connection((edge.host, edge.port), timeout=clients.SECONDS) for _ in range(2 * DESCRIPTORS)]
    try:
        for raw in crowd:
            raw.sendall(b"\x16")  # the kernel shows it to the edge now, and the edge waits for more
        edge.wait_log(r'event=accept_paused .*error="Too many open files"')
        assert edge.admin.metric(r'keyless_edge_accept_paused_total\{cause="descriptors"') >= 1
        assert edge.admin.get("/ready")[0] == 200
        assert descriptors(edge.pid) < DESCRIPTORS
    finally:
        for raw in crowd:
            clients.reset(raw)
    assert b"from the origin" in clients.fetch(edge, "rsa.test", clients.context(pki.ca))
