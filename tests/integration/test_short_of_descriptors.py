"""A key server whose processes cannot be started for a while says why, in its log and at /ready, and goes on by itself."""
import errno
import json
import os
import re
import signal
import subprocess

import pytest

import clients
from daemon import wait_until

pytestmark = pytest.mark.skipif(not clients.have("prlimit"), reason="prlimit (package util-linux) is missing")
LIMIT = r"Too many open files; raise the limit of open files \(RLIMIT_NOFILE is %d\), with LimitNOFILE="


def limit(pid, value):
    subprocess.run(["prlimit", "--pid", str(pid), "--nofile=%s:" % value], check=True)


def open_files(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Short:
    """The supervisor may have no more than HAS descriptors (by default those that it has)."""

    def __init__(self, server, has=None):
        self.server, self.has = server, has or open_files(server.pid)

    def __enter__(self):
        limit(self.server.pid, self.has)
        return self.has

    def __exit__(self, *_):
        if self.server.process.poll() is None:
            limit(self.server.pid, 20000)


def started(site, pki):
    server = site.start_server([pki.p256[0]])
    server.wait_log("event=vault_ready cause=start")
    return server


def test_a_vault_that_cannot_be_ordered_is_told_of_once(site, pki):
    server = started(site, pki)
    since = server.mark()
    with Short(server) as few:
        os.kill(server.children()["keyless-vault"], signal.SIGKILL)
        said = server.wait_log(r"event=child_failed role=vault", since)
        assert re.search(r'error .*error="cannot be ordered: ' + LIMIT % few + r'.*hint="another attempt follows', said), said
        wait_until(lambda: server.admin.get("/ready") == (503, "no vault: none can be started; the log says why\n"), "the reason")
        assert json.loads(server.admin.get("/status.json")[1])["vault"]["load"] == "fails"
    server.wait_log("event=vault_ready cause=restart", since)
    wait_until(lambda: server.admin.get("/ready")[0] == 200, "readiness")
    assert len(server.find("event=child_failed", since)) == 1, server.lines[since:]
    assert server.stop() == 0


@pytest.mark.parametrize("role", ["net", "loader"])
def test_another_process_that_cannot_be_started_is_told_of_once(site, pki, role):
    server = started(site, pki)
    since = server.mark()
    with Short(server, 4) as few:
        os.kill(server.children()["keyless-" + role], signal.SIGKILL)
        said = server.wait_log(r"event=child_failed role=" + role, since)
        assert re.search(r'error="cannot be started: ' + LIMIT % few + '.*hint="another attempt follows', said), said
    server.wait_log("event=child_started role=" + role, since)
    wait_until(lambda: server.admin.get("/ready")[0] == 200, "readiness")
    assert len(server.find("event=child_failed", since)) == 1, server.lines[since:]
    assert server.stop() == 0


@pytest.mark.parametrize("role", ["net", "loader"])
def test_a_process_that_cannot_take_its_descriptors_says_why(site, pki, role):
    """It has been forked, and ends before it is itself."""
    server = started(site, pki)
    since = server.mark()
    with Short(server, open_files(server.pid) + 2) as few:
        os.kill(server.children()["keyless-" + role], signal.SIGKILL)
        said = server.wait_log(r"event=child_failed role=" + role, since)
        assert re.search(r'error="cannot take its descriptors: ' + LIMIT % few, said), said
        server.wait_log(r"event=child_died role=%s pid=\d+ status=1" % role, since)
    wait_until(lambda: server.admin.get("/ready")[0] == 200, "readiness")
    assert server.stop() == 0


def test_a_reload_without_descriptors_says_why_and_the_next_one_succeeds(site, pki):
    server = started(site, pki)
    for few in range(4, open_files(server.pid) + 4, 2):  # fewer than ten lines of an event in a second
        since = server.mark()
        with Short(server, few):
            server.send_signal(signal.SIGHUP)
            said = server.wait_log("event=(reload_failed|reloaded)", since)
            assert re.search(LIMIT % few, said) or "event=reloaded" in said, said
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log("event=reloaded", since)
    assert server.stop() == 0


def test_a_supervisor_that_cannot_wait_ends_with_a_status_and_the_reason(site, pki):
    """So that a service manager which restarts what has failed starts it again."""
    server = started(site, pki)
    since = server.mark()
    limit(server.pid, 3)  # fewer than poll() is asked for
    server.send_signal(signal.SIGHUP)
    site.daemons.remove(server)
    assert server.wait_exit() == 1
    assert server.find(r'event=stopped status=1 error="cannot wait for events: %s' % os.strerror(errno.EINVAL), since), server.lines[since:]


def test_a_loader_that_cannot_take_an_order_says_why(site, pki):
    server = started(site, pki)
    loader, since = server.children()["keyless-loader"], server.mark()
    limit(loader, 4)
    server.send_signal(signal.SIGHUP)
    said = server.wait_log(r"keyless-server\[loader\] event=load_failed", since)
    assert re.search(r'error="an order cannot be taken: ' + LIMIT % 4, said), said
    server.wait_log("event=reload_failed", since)
    server.wait_log("event=child_started role=loader", since)
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log("event=reloaded", since)
    assert server.stop() == 0
