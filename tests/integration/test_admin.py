"""The admin endpoints: what they say, that promtool accepts it, and what they refuse."""
import re
import shutil
import socket
import subprocess

import pytest

import clients
from daemon import program


@pytest.fixture(params=["edge", "server"])
def daemon(request, shared, pki):
    ok, text = clients.s_client(shared.edge, "rsa.test", pki.ca, "-tls1_2", "-cipher", "AES128-GCM-SHA256")
    assert ok, text
    return getattr(shared, request.param)


def raw(daemon, request, seconds=20):
    with socket.create_connection((daemon.admin.host, daemon.admin.port), timeout=seconds) as connection:
        connection.sendall(request)
        parts = []
        while True:
            try:
                data = connection.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return b"".join(parts)
            parts.append(data)


def test_live_ready_metrics_status(daemon):
    assert daemon.admin.get("/live")[0] == 200
    assert daemon.admin.get("/ready")[0] == 200
    status, text = daemon.admin.get("/metrics")
    assert status == 200 and "# TYPE keyless_" in text
    assert daemon.admin.status()["version"]
    assert daemon.admin.get("/nothing")[0] == 404


def test_metrics_pass_promtool(daemon):
    if not shutil.which("promtool"):
        pytest.skip("promtool (package prometheus) is missing")
    done = subprocess.run(["promtool", "check", "metrics"], input=daemon.admin.get("/metrics")[1], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_metrics_have_help_type_and_no_repetition(daemon):
    """What promtool would say, for machines without it."""
    seen, families = set(), set()
    for line in daemon.admin.get("/metrics")[1].splitlines():
        if line.startswith("# TYPE "):
            assert line not in families
            families.add(line)
            name, kind = line.split()[2:4]
            assert (kind == "counter") == name.endswith("_total"), line
        elif not line.startswith("#"):
            sample = line.rsplit(" ", 1)[0]
            assert sample not in seen, sample
            seen.add(sample)
            float(line.rsplit(" ", 1)[1])
    assert seen


def test_a_handshake_is_counted(shared, pki):
    """One full RSA handshake moves the counters of both sides by one, and no other kind's."""
    edge, server = shared.edge.admin, shared.server.admin
    kinds, answers = r"keyless_edge_handshakes_total\{", r'keyless_server_answers_total\{operation="(rsa|sign)_'
    kind, answer = kinds + r'kind="rsa"', answers.replace("(rsa|sign)_", r'rsa_master",status="ok"')
    before = [edge.metric(kind), server.metric(answer)]
    all_before = [edge.metric(kinds), server.metric(answers)]
    ok, text = clients.s_client(shared.edge, "rsa.test", pki.ca, "-tls1_2", "-cipher", "AES128-GCM-SHA256")
    assert ok, text
    assert [edge.metric(kind), server.metric(answer)] == [n + 1 for n in before]
    assert [edge.metric(kinds), server.metric(answers)] == [n + 1 for n in all_before]


def test_a_label_has_one_name_in_both_daemons(shared):
    """A dashboard joins what the edge asked with what the key server answered by it."""
    for daemon, family in ((shared.edge, "keyless_edge_key_server_answers_total"), (shared.server, "keyless_server_answers_total")):
        names = list(daemon.admin.metrics())
        assert any(name.startswith(family) and 'operation="sign_tls13"' in name for name in names)
        assert not [name for name in names if re.search(r"[{,]op=", name)]


def test_only_get_is_answered(daemon):
    assert b" 405 " in raw(daemon, b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").split(b"\r\n")[0]
    assert b" 400 " in raw(daemon, b"rubbish\r\n\r\n").split(b"\r\n")[0]


def test_a_foreign_host_name_is_refused(daemon):
    """DNS rebinding: a browser that was sent here under another name gets nothing."""
    assert b" 403 " in raw(daemon, b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n").split(b"\r\n")[0]


def test_size_and_time_are_bounded(daemon):
    answer = raw(daemon, b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n")
    assert b"200" not in answer[:20]
    assert b"200" not in raw(daemon, b"GET /metr")[:20]  # never finished: closed at the deadline
    assert daemon.admin.get("/live")[0] == 200


def test_the_trace_id_is_in_both_logs(site, pki, origin):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options="ops=sign_tls13"))
    edge = site.start_edge([server], [pki.rsa[1]], origin.address)
    ok, _ = clients.s_client(edge, "rsa.test", pki.ca, "-tls1_2", "-cipher", "AES128-GCM-SHA256")
    assert not ok
    line = edge.wait_log(r"event=handshake_failed.*trace=[0-9a-f]{32}")
    trace = line.split("trace=")[1][:32]
    server.wait_log(r"event=request_refused.*trace=" + trace)


def test_admin_must_be_local(site, pki, origin):
    """An admin address that the network can reach is refused at start, with the mend."""
    _, config, _ = site.server_folder([pki.rsa[0]], extra="")
    with open(config) as handle:
        text = handle.read().replace('admin = "127.0.0.1:0"', 'admin = "0.0.0.0:0"')
    with open(config, "w") as handle:
        handle.write(text)
    done = subprocess.run([program("keyless-server"), "-c", config], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "loopback" in done.stderr
