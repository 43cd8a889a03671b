"""SIGABRT and the processor's signals sent by another process, as a service manager and an operator send them: each ends the
process that it is for, which says so once, and whoever replaces what has died does so."""
import os
import re
import signal

import pytest

import clients
from daemon import wait_until

# A sanitizer takes the processor's signals.
NUMBERS = [signal.SIGABRT] if os.environ.get("SAN") else [
    signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL]
SECONDS = 30  # much longer than dying takes on a busy machine, much less than for ever


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as handle:
            return handle.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def serves(edge, pki):
    try:
        return b"from the origin" in clients.fetch(edge, "p256.test", clients.context(pki.ca))
    except OSError:
        return False


def crash(daemon, pid, number, program):
    """Sends NUMBER to the process PID and waits until it is gone and has said so; a place in the log from before that."""
    since = daemon.mark()
    os.kill(pid, number)
    wait_until(lambda: not is_alive(pid), "the end of %s by signal %d" % (program, number), SECONDS)
    daemon.wait_log(r"%s event=crashed signal=%s$" % (re.escape(program), number.name[3:]), since)
    assert len(daemon.find("event=crashed", since)) == 1
    return since


@pytest.mark.parametrize("role", ["net", "vault", "loader"])
def test_a_process_of_a_key_server_that_gets_a_crash_signal_is_replaced(site, pki, origin, role):
    server = site.start_server([pki.p256[0]])
    edge = site.start_edge([server], [pki.p256[1]], origin.address, tls="tickets = off")
    edge.wait_grants()
    for number in NUMBERS:
        before = wait_until(lambda: server.children().get("keyless-" + role), "a " + role)
        since = crash(server, before, number, "keyless-server[%s]" % role)
        server.wait_log(r"event=child_died role=%s pid=%d signal=%d" % (role, before, number), since)
        server.wait_log(r"event=child_started role=%s" % role, since)
        if role == "vault":
            server.wait_log(r"event=vault_ready cause=restart", since)
        wait_until(lambda: serves(edge, pki), "a handshake after signal %d to the %s" % (number, role))
    assert edge.stop() == 0 and server.stop() == 0


@pytest.mark.parametrize("number", NUMBERS)
def test_a_supervisor_that_gets_a_crash_signal_ends_with_its_processes(site, pki, number):
    server = site.start_server([pki.p256[0]])
    children = list(server.children().values())
    assert len(children) == 3
    crash(server, server.pid, number, "keyless-server")
    assert server.wait_exit() == -number
    site.daemons.remove(server)
    wait_until(lambda: not any(is_alive(pid) for pid in children), "the end of its processes", SECONDS)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_edge_that_gets_a_crash_signal_ends_with_its_processes(site, pki, origin, number):
    server = site.start_server([pki.p256[0]])
    edge = site.start_edge([server], [pki.p256[1]], origin.address, threads=2)
    children = list(edge.children().values())
    crash(edge, edge.pid, number, "keyless-edge")
    assert edge.wait_exit() == -number
    site.daemons.remove(edge)
    wait_until(lambda: not any(is_alive(pid) for pid in children), "the end of its processes", SECONDS)
