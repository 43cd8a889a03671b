"""keyless bench: what it measures, what it says of failures, and how it ends."""
import json
import os
import pty
import re
import subprocess

import pytest

from daemon import SLOW, program
from fleet import Identity, keyless, write
from pki import key_id

SHORT = ("--seconds", "%g" % (0.3 * SLOW), "--warm-up", "0.05")
OPERATIONS = {"rsa": ["sign_tls13", "sign_tls12", "rsa_premaster", "rsa_master"], "ec": ["sign_tls13", "sign_tls12"]}


@pytest.fixture
def bench(site, pki):
    """A key server with keys of three kinds; `server` starts it otherwise, `run` measures it."""
    class Bench:
        def server(self, keys=None, **options):
            self.running = site.start_server([key for key, _ in keys or (pki.rsa, pki.p256, pki.ed25519)], **options)
            return self.running

        def config(self, server=None, **options):
            server = server or self.running
            return site.edge_config([(server.address, server.identity.public)], [pki.p256[1]], "127.0.0.1:1", **options)

        def run(self, *arguments):
            return keyless("bench", "-c", self.config(), *SHORT, *arguments, check=False)

        @property
        def admin(self):
            return "%s:%d" % (self.running.admin.host, self.running.admin.port)
    return Bench()


def rows(done):
    return json.loads(done.stdout)


def test_every_operation_that_is_granted_is_measured_with_every_type_of_key(bench):
    bench.server()
    done = bench.run("--in-flight", "1,16", "--json")
    assert done.returncode == 0 and not done.stderr, done.stderr
    found = rows(done)
    assert [(row["key"], row["operation"], row["in_flight"]) for row in found] == [
        (key, operation, depth) for key, kind in (("rsa2048", "rsa"), ("p256", "ec"), ("ed25519", "ec"))
        for operation in OPERATIONS[kind] for depth in (1, 16)]
    for row in found:
        latency = row["latency_us"]
        assert row["failed"] == 0 and row["failures"] == {} and row["answered"] > 0
        assert abs(row["rate"] - row["answered"] / row["seconds"]) < 1
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99_9"] <= latency["max"]
        assert row["channels"] == 1 and row["edges"] == 1


def test_what_it_says_was_answered_the_key_server_has_answered(bench):
    server = bench.server()
    answers = r'answers_total\{operation="sign_tls12",status="ok"'
    row, = rows(bench.run("--op", "sign_tls12", "--key", "p256", "--in-flight", "4", "--json"))
    # Besides what is measured there is the warm-up, and what is in flight at the end.
    assert row["answered"] <= server.admin.metric(answers) <= 3 * row["answered"] + 1000


def test_cpu_time_of_the_processes_is_told_where_they_run_here(bench):
    server = bench.server()
    assert server.admin.status()["pid"] == server.pid
    row, = rows(bench.run("--admin", bench.admin, "--op", "sign_tls13", "--key", "rsa2048", "--in-flight", "8", "--json"))
    assert set(row["cpu_us"]) == {"supervisor", "loader", "net", "vault", "total"}
    assert row["cpu_us"]["vault"] > 50  # an RSA-2048 operation takes more, on whatever machine
    assert 0 < row["cpu_us"]["net"] < row["cpu_us"]["vault"]
    assert rows(bench.run("--op", "sign_tls13", "--key", "rsa2048", "--in-flight", "8", "--json"))[0]["cpu_us"] is None
    table = bench.run("--admin", bench.admin, "--op", "sign_tls13", "--in-flight", "8").stdout.splitlines()
    assert table[0].startswith("ks1 (%s), edges: 1, channels: 1" % server.address)
    assert sorted(table[1].split()[-7:-3]) == ["loader", "net", "supervisor", "vault"] and table[1].endswith("total     one core")
    assert all(re.search(r" [\d.]+  ≈ +\d+/s$", line) for line in table[2:])
    assert abs(row["rate_per_core"] * row["cpu_us"]["total"] - 1e6) < 1
    assert [line.split()[:3] for line in table[2:]] == [["sign_tls13", key, "8"] for key in ("rsa2048", "p256", "ed25519")]


def test_an_admin_endpoint_that_is_none_of_a_key_server_is_said_so(bench, site, pki, origin):
    server = bench.server()
    edge = site.start_edge([server], [pki.p256[1]], origin.address)
    done = bench.run("--admin", "%s:%d" % (edge.admin.host, edge.admin.port))
    assert done.returncode == 3 and "is not the `admin` of a keyless-server" in done.stderr
    done = bench.run("--admin", "127.0.0.1:1")
    assert done.returncode == 3 and "127.0.0.1:1: " in done.stderr and "of a keyless-server that runs?" in done.stderr


def test_several_edges_and_channels_ask_at_once_what_all_are_granted(bench, site):
    other, psk = Identity(site.folder, "other.key"), keyless("genkey").stdout
    psk_path = write(os.path.join(site.folder, "other.psk"), psk, 0o400)
    server = bench.server(authorized=site.authorized_line("first") + site.authorized_line(
        "other", other, psk.strip(), "ops=sign_tls13,rsa_master"))
    done = keyless("bench", "-c", bench.config(), "-c", bench.config(identity=other, psk_path=psk_path), *SHORT,
                   "--channels", "2", "--key", "rsa2048", "--in-flight", "16", "--json")
    assert [(row["operation"], row["edges"], row["channels"]) for row in rows(done)] == [
        ("sign_tls13", 2, 4), ("rsa_master", 2, 4)]
    assert len(server.find("event=edge_connected edge=first")) == len(server.find("event=edge_connected edge=other")) == 2


def test_a_key_is_chosen_by_its_id(bench, pki):
    bench.server([pki.p256, pki.rsa])
    row, = rows(bench.run("--key", key_id(pki.p256[1])[:8], "--op", "sign_tls13", "--in-flight", "1", "--json"))
    assert row["key_id"] == key_id(pki.p256[1])


def test_what_is_not_granted_ends_with_4(bench, site):
    bench.server(authorized=site.authorized_line(options="ops=sign_tls13"))
    done = bench.run("--op", "rsa_master", "--json")
    assert done.returncode == 4 and "keyless keys" in done.stderr and rows(done) == []


def test_a_rate_that_is_used_up_ends_with_4_and_is_named(bench, site):
    bench.server(authorized=site.authorized_line(options="ops=sign_tls13 rate=20/s"))
    done = bench.run("--key", "p256", "--in-flight", "8", "--json")
    assert done.returncode == 4 and "is there a rate" in done.stderr
    assert rows(done)[0]["failures"]["refused"] > 0


def test_a_full_queue_ends_with_1_and_is_counted(bench):
    bench.server(extra="queue_max = 1\nworkers = 1")
    done = bench.run("--op", "rsa_premaster", "--in-flight", "64", "--json")
    assert done.returncode == 1 and "queue_max" in done.stderr
    assert rows(done)[0]["failures"]["busy"] > 0


def test_nobody_there_ends_with_3(bench):
    server = bench.server()
    server.stop()
    done = bench.run("--json")
    assert done.returncode == 3 and "connection refused" in done.stderr and rows(done) == []


def test_one_server_of_several_is_measured_when_it_is_named(bench, site, pki):
    first, second = bench.server(), bench.server()
    config = site.edge_config([(s.address, s.identity.public) for s in (first, second)], [pki.p256[1]], "127.0.0.1:1")
    options = (*SHORT, "--key", "p256", "--op", "sign_tls13", "--in-flight", "1", "--json")
    assert [row["server"] for row in rows(keyless("bench", "-c", config, *options))] == ["ks1", "ks2"]
    assert [row["server"] for row in rows(keyless("bench", "-c", config, *options, "ks2"))] == ["ks2"]
    done = keyless("bench", "-c", config, *options, "ks3", check=False)
    assert done.returncode == 2 and "no key_server 'ks3'" in done.stderr
    done = keyless("bench", "-c", config, *options, "--admin", bench.admin, check=False)
    assert done.returncode == 2 and "name the one" in done.stderr


def test_progress_is_shown_on_a_terminal_only(bench):
    bench.server()
    ours, theirs = pty.openpty()
    command = [program("keyless"), "bench", "-c", bench.config(), "--seconds", "0.5", "--key", "p256", "--op", "sign_tls13",
               "--in-flight", "1,2", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=30 * SLOW, check=True)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "1 of 2 [" in shown and "2 of 2 [" in shown and "sign_tls13 p256, 2 in flight" in shown
    assert len(json.loads(done.stdout)) == 2
