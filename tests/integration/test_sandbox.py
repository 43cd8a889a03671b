"""The sandbox of each process: what the kernel, the log and the admin endpoints say of it, and that the lists suffice."""
import os
import signal

import pytest

import clients
from fleet import keyless

pytestmark = pytest.mark.skipif(bool(os.environ.get("SAN")), reason="sanitizers make calls of their own")
FILTERED = 2  # of Seccomp in proc(5)


def seccomp_of_threads(pid):
    modes = set()
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, task)) as handle:
            modes.update(int(line.split()[1]) for line in handle if line.startswith("Seccomp:"))
    return modes


def start(site, pki, origin, extra=""):
    """The origin by a name, so that the edge looks names up."""
    server = site.start_server([pki.p256[0], pki.rsa[0]], extra=extra)
    edge = site.start_edge([server], [pki.p256[1], pki.rsa[1]], origin.address.replace("127.0.0.1", "localhost"), extra=extra)
    return server, edge


def use(edge, pki):
    for options in (["-tls1_3"], ["-tls1_2"], ["-tls1_2", "-cipher", "AES128-GCM-SHA256"]):
        ok, text = clients.s_client(edge, "rsa.test", pki.ca, *options)
        assert ok, text


def processes(server, edge):
    parts = server.children()
    restart = edge.children()["keyless-restart"]
    return {"edge": edge.pid, "supervisor": server.pid, "restart": restart, "names": edge.children(restart)["keyless-names"],
            **{name: next(pid for comm, pid in parts.items() if name in comm) for name in ("net", "vault", "loader")}}


def test_every_thread_of_every_process_is_inside(site, pki, origin):
    server, edge = start(site, pki, origin)
    use(edge, pki)
    for name, pid in processes(server, edge).items():
        assert seccomp_of_threads(pid) == {FILTERED}, name
    for daemon, count in ((server, 4), (edge, 1)):
        daemon.wait_log(r"event=sandbox .*system_calls=filtered", count=count)
    site.close()
    for daemon in (server, edge):
        assert not daemon.find("event=sandbox_refused"), daemon.lines


def test_status_and_metrics_say_what_holds(site, pki, origin):
    server, edge = start(site, pki, origin)
    server.admin.wait_metric(r'keyless_server_sandbox\{process="vault",layer="system_calls"\}')
    assert server.admin.metric(r'keyless_server_sandbox\{process="net",layer="system_calls"\}') == 1
    assert edge.admin.metric(r'keyless_edge_sandbox\{layer="system_calls"\}') == 1
    assert server.admin.status()["sandbox"]["net"]["system_calls"] is True
    assert edge.admin.status()["sandbox"]["edge"]["system_calls"] is True
    files = edge.admin.status()["sandbox"]["edge"]["files"]
    edge.wait_log("event=sandbox .*files=%s" % ("denied" if files else "undenied"))
    said = keyless("status", "%s:%d" % (edge.admin.host, edge.admin.port)).stdout
    assert "sandbox      edge: system calls, " in said, said


def test_no_call_is_missing_from_the_lists(site, pki, origin):
    """Where nothing is refused, nothing is logged either: from the start over a reload to the end."""
    server, edge = start(site, pki, origin, extra="sandbox = log\n")
    for daemon, count in ((server, 4), (edge, 1)):
        daemon.wait_log(r"event=sandbox .*system_calls=logged", count=count)
    use(edge, pki)
    assert server.admin.metric(r'keyless_server_sandbox\{process="net",layer="system_calls"\}') == 0
    server.send_signal(signal.SIGHUP)
    server.wait_log("event=vault_ready .*cause=reload")
    edge.wait_grants()
    use(edge, pki)
    site.close()
    for daemon in (server, edge):
        assert not daemon.find("event=sandbox_unlisted"), daemon.lines


def test_what_dies_is_forked_again_through_the_filters(site, pki, origin):
    """A filter goes down to children: also to those that are started much later."""
    server, edge = start(site, pki, origin)
    for part in ("net", "vault", "loader"):
        before = processes(server, edge)[part]
        since = server.mark()
        os.kill(before, signal.SIGKILL)
        server.wait_log("event=child_started role=%s " % part, since)
        if part != "loader":
            server.wait_log("event=vault_ready", since)
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log("event=vault_ready .*cause=reload", since)
    edge.wait_grants()
    use(edge, pki)
    for name, pid in processes(server, edge).items():
        assert seccomp_of_threads(pid) == {FILTERED}, name
    assert not server.find("event=sandbox_refused"), server.lines
