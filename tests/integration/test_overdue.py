"""Processes of a key server that hang, or do not let go: none of them keeps a vault alive that a reload has replaced, or holds a
reload or the end of the key server up for ever."""
import concurrent.futures
import json
import os
import re
import signal

import pytest

import clients
from daemon import SLOW, wait_until

GRACE = 5  # seconds that a vault which was replaced has to end, past deadline_max
DEADLINE = 2 * SLOW
CONFIG = "deadline_max = %ds\ndrain_timeout = 1s\n" % DEADLINE


class Stopped:
    """A process that SIGSTOP holds for as long as the block runs, if it lives as long."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        try:
            os.kill(self.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def serves(edge, pki):
    try:
        return b"from the origin" in clients.fetch(edge, "p256.test", clients.context(pki.ca))
    except OSError:
        return False


def reload(server):
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    ready = server.wait_log(r"event=vault_ready cause=reload", since)
    return int(re.search(r"pid=(\d+)", ready).group(1))


def test_a_net_process_that_hangs_is_replaced(site, pki, origin):
    """One that is stopped takes no wall and closes none. The third reload waits for the two vaults that are to end, says so, and is done
    then; afterwards there is another net process, which serves."""
    server = site.start_server([pki.p256[0]], extra=CONFIG)
    edge = site.start_edge([server], [pki.p256[1]], origin.address, tls="tickets = off")
    edge.wait_grants()
    children = server.children()
    first, net = children["keyless-vault"], children["keyless-net"]
    since = server.mark()
    with Stopped(net):
        second, waited = reload(server), (DEADLINE + GRACE) * 1000
        third = reload(server)
        server.send_signal(signal.SIGHUP)
        waits = server.wait_log(r"event=reload_waits reason=leaving ", since)
        assert re.search(r'processes="vault \d+, vault \d+" at_most_ms=\d+$', waits), waits
        assert str(first) in waits and str(second) in waits
        assert int(re.search(r"at_most_ms=(\d+)", waits).group(1)) <= waited
        server.wait_log(r'warn .*event=child_overdue killed="net %d" waited_ms=%d error=".+" hint=".*keyless-net' % (net, waited), since)
        server.wait_log(r'warn .*event=child_overdue killed="vault %d" waited_ms=%d error=".+" hint=".*keyless-net' % (first, waited), since)
        for role, pid in (("net", net), ("vault", first)):
            server.wait_log(r"event=child_(ended|died) role=%s pid=%d signal=9" % (role, pid), since)
        server.wait_log(r"event=reloaded ", since, count=3)
        assert not server.find(r"child_overdue.*%d" % third, since)
        wait_until(lambda: serves(edge, pki), "a handshake by the net process that follows")
    assert edge.stop() == 0 and server.stop() == 0


def test_a_vault_that_hangs_when_it_is_replaced_is_killed(site, pki, origin):
    server = site.start_server([pki.p256[0]], extra=CONFIG)
    edge = site.start_edge([server], [pki.p256[1]], origin.address, tls="tickets = off")
    edge.wait_grants()
    old, since = server.children()["keyless-vault"], server.mark()
    with Stopped(old):
        reload(server)
        wait_until(lambda: serves(edge, pki), "a handshake by the vault that has taken over")
        server.wait_log(r'event=child_overdue killed="vault %d" ' % old, since)
        server.wait_log(r"event=child_ended role=vault pid=%d signal=9" % old, since)
    assert serves(edge, pki)
    assert edge.stop() == 0 and server.stop() == 0


def test_a_vault_that_hangs_when_it_is_replaced_is_not_waited_for(site, pki, origin):
    """What it had is answered unavailable while there is time for another attempt, which the vault that has taken over serves."""
    server = site.start_server([pki.p256[0]], extra="deadline_max = 30s\n")
    edge = site.start_edge([server], [pki.p256[1]], origin.address, tls="tickets = off",
                           timeouts="key = 30s handshake = 50s")
    edge.wait_grants()
    old, since = server.children()["keyless-vault"], server.mark()
    with concurrent.futures.ThreadPoolExecutor(1) as pool, Stopped(old):
        page = pool.submit(clients.fetch, edge, "p256.test", clients.context(pki.ca), seconds=50)
        wait_until(lambda: json.loads(server.admin.get("/status.json")[1])["requests_in_flight"] == 1, "a request that waits")
        reload(server)
        server.wait_log(r'warn .*event=vault_silent vault=leaving silent_ms=\d+ open=1 answered=unavailable error=".+" '
                        r'hint=".*keyless-vault', since)
        assert server.admin.get("/ready")[0] == 200
        assert b"from the origin" in page.result()
        assert not server.find("event=child_overdue", since)
    server.wait_log(r"event=child_ended role=vault pid=%d status=0" % old, since)
    assert server.admin.metric("keyless_server_vault_silences_total") == 1
    assert edge.stop() == 0 and server.stop() == 0


def test_a_vault_that_ends_in_time_is_not_killed(site, pki):
    server = site.start_server([pki.p256[0]], extra=CONFIG)
    for _ in range(3):
        old, since = server.children()["keyless-vault"], server.mark()
        reload(server)
        server.wait_log(r"event=child_ended role=vault pid=%d status=0" % old, since)
    assert server.stop() == 0
    assert not server.find("event=child_overdue|event=stop_timeout")


@pytest.mark.parametrize("name", ["keyless-vault", "keyless-loader"])
def test_a_key_server_does_not_wait_for_ever_for_a_process_that_hangs(site, pki, name):
    """All that edges asked is answered, so it ends with 0; what was killed is named."""
    server = site.start_server([pki.p256[0]], extra=CONFIG)
    hanging = server.children()[name]
    with Stopped(hanging):
        server.send_signal(signal.SIGTERM)
        assert server.wait_exit() == 0
    server.wait_log(r'warn .*event=stop_timeout killed="%s %d" error="the net process has ended' % (name[8:], hanging))
    server.wait_log(r"event=child_ended role=%s pid=%d signal=9" % (name[8:], hanging))
    server.wait_log(r"event=stopped status=0")


def test_a_key_server_whose_net_process_hangs_ends_with_1(site, pki):
    server = site.start_server([pki.p256[0]], extra=CONFIG)
    net = server.children()["keyless-net"]
    with Stopped(net):
        server.send_signal(signal.SIGTERM)
        assert server.wait_exit() == 1
    assert re.search(r'error .*killed="net %d[",]' % net, server.wait_log(r"event=stop_timeout"))
    site.daemons.remove(server)


def test_a_process_that_died_by_itself_is_not_called_killed(site, pki):
    """The order to end comes in the moment of the death: what made the status 1 is said."""
    server = site.start_server([pki.p256[0]], extra=CONFIG)
    net = server.children()["keyless-net"]
    with Stopped(server.pid):  # both signals wait for it
        os.kill(net, signal.SIGKILL)
        server.send_signal(signal.SIGTERM)
    assert server.wait_exit() == 1
    server.wait_log(r"error .*event=child_died role=net pid=%d signal=9" % net)
    server.wait_log(r'error .*event=stopped status=1 error="the net process died before it had answered everything')
    site.daemons.remove(server)
