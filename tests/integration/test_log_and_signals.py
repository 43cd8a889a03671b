"""What the environment does to a daemon: a log that nobody reads, closed descriptors, signals that others send by habit."""
import fcntl
import json
import os
import re
import select
import signal
import socket
import subprocess
import time

import pytest

import clients
from daemon import PATIENCE, Daemon, SanitizerReports, program, wait_until
from fleet import Admin, Edge, keyless
from processes import start

PIPE = 4096  # bytes of the smallest pipe


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Stalled:
    """A daemon on a port of its own whose standard error is a small pipe. Nobody reads it before read_all()."""

    def __init__(self, command, port):
        self.log, end = os.pipe()
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE)
        self.reports = SanitizerReports()
        self.process = start(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=end,
                             env={**os.environ, **self.reports.env})
        os.close(end)
        self.admin = Admin("127.0.0.1", port)
        self.text = ""

    def answers(self, path, wanted=200):
        try:
            return self.admin.get(path)[0] == wanted
        except OSError:
            return False

    def wait(self, path):
        wait_until(lambda: self.answers(path), "%s of %s" % (path, self.process.args[0]))

    def read_until(self, pattern):
        """Begins to read; what was read so far is `text`."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            assert select.select([self.log], [], [], max(0, end - time.monotonic()))[0], self.text[-2000:]
            data = os.read(self.log, 65536)
            assert data, self.text[-2000:]
            self.text += data.decode()

    def end(self):
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.log >= 0:
            os.close(self.log)
            self.log = -1
            self.reports.check()


def with_admin(config, port):
    with open(config) as handle:
        text = handle.read()
    with open(config, "w") as handle:
        handle.write(text.replace('admin = "127.0.0.1:0"', 'admin = "127.0.0.1:%d"' % port))
    return config


def until_lines_are_lost(daemon, work, metric):
    """Does WORK until the daemon's ring has been full."""
    end = time.monotonic() + 6 * PATIENCE
    while daemon.admin.metric(metric) == 0:
        assert time.monotonic() < end, "no line was dropped"
        work()


def handshakes(edge, pki, count):
    for _ in range(count):
        ok, text = clients.s_client(edge, "rsa.test", pki.ca, "-tls1_2")
        assert ok, text


def connections(host, port, count):
    """Clients that say what is no TLS: a line of the log each."""
    for _ in range(count):
        with socket.create_connection((host, port), timeout=PATIENCE) as one:
            one.sendall(b"GET / HTTP/1.0\r\n\r\n")
            one.shutdown(socket.SHUT_WR)
            while one.recv(4096):
                pass


class At:
    """Where a client finds an edge."""

    def __init__(self, port):
        self.host, self.port = "127.0.0.1", port


def test_an_edge_whose_log_nobody_reads_serves_says_what_is_missing_and_ends(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    port, admin_port = free_port(), free_port()
    config = site.edge_config([(server.address, server.identity.public)], [pki.rsa[1]], origin.address,
                              listen="127.0.0.1:%d" % port, extra="access_log = on")
    edge = Stalled([program("keyless-edge"), "-c", with_admin(config, admin_port)], admin_port)
    try:
        edge.wait("/ready")
        until_lines_are_lost(edge, lambda: connections("127.0.0.1", port, 200), "log_lines_dropped_total")
        handshakes(At(port), pki, 3)
        assert edge.answers("/live")
        lost = edge.admin.metric("log_lines_dropped_total")
        edge.read_until(r"event=log_lines_dropped dropped=\d+")
        assert lost > 0
        assert edge.end() == 0
    finally:
        edge.close()


def test_an_edge_whose_log_nobody_reads_ends_on_sigterm(site, pki, origin):
    port, admin_port = free_port(), free_port()
    config = site.edge_config([site.absent_server()], [pki.rsa[1]], origin.address,
                              listen="127.0.0.1:%d" % port, extra="access_log = on")
    edge = Stalled([program("keyless-edge"), "-c", with_admin(config, admin_port)], admin_port)
    try:
        edge.wait("/live")
        connections("127.0.0.1", port, 200)
        assert edge.end() == 0
    finally:
        edge.close()


def test_a_key_server_whose_log_nobody_reads_serves_reloads_and_ends(site, pki, origin):
    port, admin_port = free_port(), free_port()
    identity, config, _ = site.server_folder([pki.rsa[0]], listen="127.0.0.1:%d" % port, extra="access_log = on")
    server = Stalled([program("keyless-server"), "-c", with_admin(config, admin_port)], admin_port)
    try:
        server.wait("/ready")
        edge = site.start_edge([("127.0.0.1:%d" % port, identity.public)], [pki.rsa[1]], origin.address)
        handshakes(edge, pki, 60)  # more than a pipe of a page holds, of the vault and of the net process
        before = server.admin.status()["vault"]
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.answers("/ready"), "a vault")
        handshakes(edge, pki, 3)
        assert before and server.answers("/live")
        assert server.end() == 0
    finally:
        server.close()


@pytest.mark.parametrize("closed", [(0, 1, 2), (2,), (0,), (1, 2)])
@pytest.mark.parametrize("kind", ["server", "edge"])
def test_descriptors_that_are_closed_at_the_start_lead_nowhere(site, pki, origin, kind, closed):
    admin_port = free_port()
    if kind == "server":
        _, config, _ = site.server_folder([pki.rsa[0]])
    else:
        config = site.edge_config([site.absent_server()], [pki.rsa[1]], origin.address)
    process = start([program("keyless-" + kind), "-c", with_admin(config, admin_port)],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    preexec_fn=lambda: [os.close(fd) for fd in closed])
    try:
        admin = Admin("127.0.0.1", admin_port)

        def is_up():
            assert process.poll() is None, process.returncode
            try:
                return admin.get("/ready" if kind == "server" else "/live")[0] == 200
            except OSError:
                return False
        wait_until(is_up, "the daemon")
        for fd in range(3):
            assert os.readlink("/proc/%d/fd/%d" % (process.pid, fd)) == "/dev/null"
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize("how", ["--block-signal", "--ignore-signal"])
def test_a_parent_that_has_blocked_or_ignored_signals_leaves_nothing_behind(site, pki, origin, how):
    inside = ["env", how]
    identity, config, folder = site.server_folder([pki.rsa[0]])
    server = site.restart_server(folder, identity, config, inside=inside)
    edge = Edge(site.edge_config([(server.address, identity.public)], [pki.rsa[1]], origin.address), inside)
    site.daemons.append(edge)
    edge.wait_ready()
    os.kill(server.children()["keyless-vault"], signal.SIGKILL)
    server.wait_log("event=vault_ready cause=restart")
    handshakes(edge, pki, 2)
    assert edge.stop() == 0 and server.stop() == 0


@pytest.mark.parametrize("closed, status", [((0, 2), 0), ((0, 1, 2), 1)])
def test_the_command_runs_with_descriptors_closed(closed, status):
    """What it prints is not printed where standard output is closed."""
    command = [program("keyless"), "--version"]
    done = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=lambda: [os.close(fd) for fd in closed])
    assert done.wait(PATIENCE) == status


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_sigusr_is_a_line_and_nothing_else(site, pki, origin, number):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address)
    for daemon in (server, edge):
        children = daemon.children()
        for pid in [*children.values(), daemon.pid]:
            os.kill(pid, number)
        daemon.wait_log(r"event=signal_ignored signal=%s hint=" % number.name[3:])
        assert daemon.children() == children
    handshakes(edge, pki, 2)


def test_sighup_is_a_line_of_the_edge(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.rsa[1]], origin.address)
    edge.send_signal(signal.SIGHUP)
    edge.wait_log(r"event=signal_ignored signal=HUP hint=")
    handshakes(edge, pki, 1)


def test_an_idle_edge_stays_live(site, pki, origin):
    edge = site.start_edge([site.absent_server()], [pki.rsa[1]], origin.address, ready=False)
    assert edge.admin.get("/live")[0] == 200
    end = time.monotonic() + 8  # longer than a thread may be silent: an idle loop turns, too
    while time.monotonic() < end:
        assert edge.admin.get("/live")[0] == 200
        time.sleep(0.5)


def test_an_edge_asks_another_key_server_than_the_one_whose_vault_hangs(site, pki, origin):
    servers = [site.start_server([pki.rsa[0]]) for _ in range(2)]
    edge = site.start_edge(servers, [pki.rsa[1]], origin.address, timeouts="key = 60s handshake = 120s")
    vault = servers[0].children()["keyless-vault"]
    os.kill(vault, signal.SIGSTOP)
    try:
        servers[0].wait_log(r"event=vault_silent ")
        begun = time.monotonic()
        handshakes(edge, pki, 20)
        assert time.monotonic() - begun < 30  # the half of a deadline: when the edge itself turns to the other one
    finally:
        os.kill(vault, signal.SIGCONT)


def test_a_key_server_whose_vault_hangs_is_not_live(site, pki):
    server = site.start_server([pki.rsa[0]])
    assert server.admin.get("/live")[0] == 200
    vault = server.children()["keyless-vault"]
    os.kill(vault, signal.SIGSTOP)
    try:
        wait_until(lambda: server.admin.get("/live")[0] == 503, "/live that says 503")
        assert "nothing heard from a vault" in server.admin.get("/live")[1]
        status, body = server.admin.get("/ready")[:2]
        assert status == 503 and "the vault does not answer" in body
        assert not json.loads(server.admin.get("/status.json")[1])["vault"]["ready"]
        assert server.admin.metric("keyless_server_vault_ready") == 0
        done = keyless("status", "%s:%d" % (server.admin.host, server.admin.port), check=False)
        assert done.returncode == 1 and "not ready: the vault does not answer" in done.stdout, done.stdout
        server.wait_log(r'event=vault_silent .*open=0 answered=unavailable error=".*" hint=".*keyless-vault.*"')
        server.admin.wait_metric("keyless_server_vault_silences_total", 1)
    finally:
        os.kill(vault, signal.SIGCONT)
    server.wait_log(r"event=vault_heard silent_ms=\d+")
    wait_until(lambda: server.admin.get("/live")[0] == 200, "/live that says 200 again")
    assert server.admin.get("/ready")[0] == 200
    assert keyless("status", "%s:%d" % (server.admin.host, server.admin.port)).returncode == 0
