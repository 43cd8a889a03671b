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


LOOP = r"edge\.conf:\d+: %s 127\.0\.0\.1:\d+ is an address of listen \(\S+edge\.conf:1\): what clients send would come back"


def line_of(config, start):
    """The number of the first line that begins with START."""
    with open(config) as handle:
        return next(number for number, line in enumerate(handle, 1) if line.startswith(start))


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "*"])
@pytest.mark.parametrize("option", ["origin", "origin_for http/1.1"])
def test_an_edge_that_is_its_own_origin_is_refused_wherever_its_file_is_read(site, pki, listen, option):
    port = free_port("0.0.0.0")
    itself, elsewhere = "127.0.0.1:%d" % port, "127.0.0.1:1"
    config = site.edge_config([site.absent_server()], [pki.rsa[1]], itself if option == "origin" else elsewhere, listen="%s:%d" % (listen, port),
                              extra="" if option == "origin" else 'origin_for "http/1.1" { address = "%s" }' % itself)
    place = "%s:%d: %s 127" % (config, line_of(config, option.split()[0] + (" =" if option == "origin" else " \"")), option)
    for command in ([program("keyless-edge"), "-t", "-c", config], [program("keyless-edge"), "-c", config], [program("keyless"), "check", "-c", config]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        said = done.stdout + done.stderr
        assert done.returncode not in (0, -signal.SIGKILL) and re.search(LOOP % option, said) and place in said, said


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.7"])
def test_a_key_server_whose_admin_endpoint_gets_the_address_of_edges_keeps_what_it_had(site, pki, origin, host):
    server = site.start_server([pki.rsa[0]])
    with open(server.config) as handle:
        text = handle.read()
    with open(server.config, "w") as handle:
        handle.write(text.replace('admin = "127.0.0.1:0"', 'admin = "%s:%d"' % (host, server.port))
                     .replace('listen = {"127.0.0.1:0"}', 'listen = {"*:%d"}' % server.port))
    line = "%s:2: admin %s:%d is an address of listen (%s:1): " % (server.config, host, server.port, server.config)
    assert line in refused(server.config, "keyless-server")
    done = subprocess.run([program("keyless-server"), "-t", "-c", server.config], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and line in done.stderr, done.stderr
    mark = server.mark()
    server.send_signal(signal.SIGHUP)
    assert line in server.wait_log(r"event=reload_failed\b", mark)
    edge = site.start_edge([server], [pki.rsa[1]], origin.address)
    assert b"from the origin" in clients.fetch(edge, "rsa.test", clients.context(pki.ca))


def test_an_idle_timeout_leaves_time_for_an_edges_ping(site, pki):
    """No more than the interval cannot work; a little more is warned of by `-t`, by the start and by `keyless check`."""
    _, config, _ = site.server_folder([pki.rsa[0]], extra="idle_timeout = 5s")
    said = refused(config, "keyless-server")
    assert "%s:%d: idle_timeout: edges ping" % (config, line_of(config, "idle_timeout")) in said, said
    _, config, _ = site.server_folder([pki.rsa[0]], extra="idle_timeout = 6s")
    done = subprocess.run([program("keyless-server"), "-t", "-c", config], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "event=idle_timeout_short" in done.stderr, done.stderr
    done = subprocess.run([program("keyless"), "check", "-c", config], capture_output=True, text=True, timeout=60)
    assert "an idle_timeout of 6000 ms one late ping of an edge ends its channel; edges ping every 5000 ms; give at least 12500 ms" in done.stdout
    server = site.start_server([pki.rsa[0]], extra="idle_timeout = 6s")
    server.wait_log(r'event=idle_timeout_short error="\S+server\.conf:\d+: with an idle_timeout of 6000 ms one')
    assert not site.start_server([pki.rsa[0]], extra="idle_timeout = 12500ms").find(r"event=idle_timeout_short")
