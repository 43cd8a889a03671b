"""keyless ping, keys, bench and check --online: what they say of a key server that does not answer."""
import json
import re
import socket
import subprocess
import time

import pytest

from command import run
from daemon import program
from fleet import Identity, keyless
from processes import start

ASKING = [("ping",), ("keys",), ("check", "--online"), ("bench", "--seconds", "0.1")]
TIMES = r"min [\d.]+, median [\d.]+, p99 [\d.]+, max [\d.]+ ms"


def edge_conf(site, pki, *servers):
    return site.edge_config([(s.address, s.identity.public) for s in servers], [pki.rsa[1]], "127.0.0.1:1")


def said(done):
    """Everything on the screen, in which no line of a daemon's log stands."""
    text = done.stdout + done.stderr
    assert "event=" not in text and "backtrace" not in text, text
    return text


def test_ping_is_one_line_and_its_percentiles_are_in_order(site, pki):
    server = site.start_server([pki.rsa[0]])
    conf = edge_conf(site, pki, server)
    done = keyless("ping", "-n", 3, "-c", conf)
    assert re.fullmatch(r"ks1 %s: 3 sent, 3 answered, %s\n" % (re.escape(server.address), TIMES), done.stdout)
    (one,) = json.loads(keyless("ping", "--json", "-n", 20, "-c", conf, "ks1").stdout)
    assert one["sent"] == one["answered"] == 20 and one["error"] is one["hint"] is None
    assert 0 < one["min_ms"] <= one["median_ms"] <= one["p99_ms"] == one["max_ms"]  # of 20, the 99th percentile is the last
    done = run("ping", "-c", conf, "other")
    assert done.returncode == 2 and "no key_server 'other'" in done.stderr


@pytest.mark.parametrize("verb", ASKING, ids=lambda verb: verb[0])
def test_a_refused_connection_is_told_at_once(site, pki, verb):
    server = site.start_server([pki.rsa[0]])
    conf = edge_conf(site, pki, server)
    server.stop()
    begun = time.monotonic()
    done = run(*verb, "-c", conf)
    assert time.monotonic() - begun < 4.5  # an answer is waited for 5 s
    assert done.returncode == 3 and "connection refused: is it running" in said(done) and server.address in said(done)


def test_a_refused_connection_in_json(site, pki):
    live, dead = site.start_server([pki.rsa[0]]), site.start_server([pki.rsa[0]])
    conf = edge_conf(site, pki, dead, live)
    dead.stop()
    done = run("ping", "--json", "-n", 2, "-c", conf)
    first, second = json.loads(done.stdout)
    assert done.returncode == 3 and "event=" not in done.stderr
    assert (first["sent"], first["answered"], first["p99_ms"], first["error"]) == (0, 0, None, "connection refused")
    assert "is it running" in first["hint"] and second["answered"] == 2


@pytest.mark.parametrize("verb", ASKING, ids=lambda verb: verb[0])
def test_an_edge_that_is_not_known_is_told_so(site, pki, tmp_path, verb):
    folder = tmp_path / "stranger"
    folder.mkdir()
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(identity=Identity(str(folder), "identity.key")))
    done = run(*verb, "-c", edge_conf(site, pki, server))
    assert done.returncode == 3 and re.search(r"closed without a word: is this edge's key in its authorized_edges", said(done))


def test_who_does_not_answer_is_waited_for_and_said_so(site, pki):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        conf = site.edge_config([site.absent_server("127.0.0.1:%d" % silent.getsockname()[1])], [pki.rsa[1]], "127.0.0.1:1")
        done = run("ping", "-c", conf)
    assert done.returncode == 3
    assert re.fullmatch(r"keyless ping: ks1 127\.0\.0\.1:\d+: 0 sent, 0 answered: no answer within 5 s: is the address right, .*\n", said(done))


def test_a_key_server_that_ends_in_between(site, pki):
    server = site.start_server([pki.rsa[0]])
    conf = edge_conf(site, pki, server)
    mark = server.mark()
    asking = start([program("keyless"), "ping", "-n", "100000", "-c", conf], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        server.wait_log(r"event=edge_connected\b", mark)
        server.stop()
        out, err = asking.communicate(timeout=60)
    finally:
        asking.kill()
        asking.wait()
    assert asking.returncode == 3 and "event=" not in out + err
    assert re.search(r"^(keyless ping: )?ks1 \S+: \d+ sent, \d+ answered.*(connection refused|closed without a word): ", out + err)
