"""Where pre-master secrets go, with clients that tell us theirs. In plain mode they cross the wall, the net process and the
channel; in bound mode they stay in the vault. The first is what shows that the search would find them."""
import concurrent.futures
import os
import re
import signal
import types

import pytest

import clients
import keysearch
from daemon import PATIENCE, wait_until
from relay import Relay

BOUND = "ops=sign_tls12,sign_tls13,rsa_master"
PLAIN = "ops=sign_tls12,sign_tls13,rsa_premaster"
HANDSHAKES = 20


def child(server, part):
    return next(pid for name, pid in server.children().items() if part in name)


class Wall:
    """The two rings between the net process and the vault, as they lie in the vault's memory (keyserver/wall/ring.h)."""

    LINE, SLOTS, SLOT = 64, 256, 704
    RING = 4 * LINE + SLOTS * SLOT
    REQUESTS, ANSWERS = 0, 1
    OUTCOME = 1  # a kind of answer
    KEY_OPERATIONS = 5, 6  # rsa_premaster, rsa_master; an edge asks for its list of keys, too, now and then
    KIND_AT = {REQUESTS: 104, ANSWERS: 8}  # in a slot's content: of the operation, and of the answer

    def __init__(self, pid):
        self.pid = pid
        with open("/proc/%d/maps" % pid) as maps:
            span = next(line.split()[0] for line in maps if "memfd:keyless-wall" in line)
        self.start, end = (int(x, 16) for x in span.split("-"))
        assert end - self.start >= 2 * self.RING

    def read(self):
        with open("/proc/%d/mem" % self.pid, "rb", buffering=0) as memory:
            memory.seek(self.start)
            return memory.read(2 * self.RING)

    def put(self, ring):
        return int.from_bytes(self.read()[ring * self.RING:][:4], "little")

    def kinds_since(self, ring, put):
        data = self.read()[ring * self.RING:][:self.RING]
        now = int.from_bytes(data[:4], "little")
        at = 4 * self.LINE + 8 + self.KIND_AT[ring]
        starts = (at + n % self.SLOTS * self.SLOT for n in range(put, now))
        return [int.from_bytes(data[start:start + 4], "little") for start in starts]


def all_threads_are(pid, state):
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, task)) as stat:
            if stat.read().rsplit(")", 1)[1].split()[0] != state:
                return False
    return True


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all_threads_are(pid, "T"), "that process %d stands still" % pid)


def held_at_the_wall(net, vault, client):
    """Runs CLIENT, which needs one operation, and returns what the wall holds when the answer has come into it and nobody has taken
    it yet: each side goes on only while the other stands still."""
    wall = Wall(vault)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        try:
            stop(vault)
            asked = wall.put(wall.REQUESTS)
            done = pool.submit(client)
            wait_until(lambda: set(wall.kinds_since(wall.REQUESTS, asked)) & set(wall.KEY_OPERATIONS), "the request")
            wait_until(lambda: all_threads_are(net, "S"), "that the net process has woken the vault and sleeps")
            stop(net)
            answered = wall.put(wall.ANSWERS)
            os.kill(vault, signal.SIGCONT)
            wait_until(lambda: wall.OUTCOME in wall.kinds_since(wall.ANSWERS, answered), "the answer")
            held = wall.read()
        finally:
            for pid in (vault, net):
                os.kill(pid, signal.SIGCONT)
        done.result(PATIENCE)
    return held


class Watched:
    """What was seen of HANDSHAKES RSA handshakes: `premasters`, `masters`, and the places where they were looked for."""

    def __init__(self, site, pki, origin, tmp_path, options, extra):
        self.server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=options), extra=extra)
        wire = Relay(self.server.host, self.server.port)
        to_server = types.SimpleNamespace(address=wire.address, identity=self.server.identity)
        edge = site.start_edge([(to_server.address, self.server.identity.public)], [pki.rsa[1]], origin.address,
                               tls="rsa_key_exchange = on tickets = off")
        if options == BOUND:
            edge.wait_epochs()
        self.net, self.vault = child(self.server, "net"), child(self.server, "vault")
        log = str(tmp_path / "secrets")

        def client():
            ok, text = clients.s_client(edge, "rsa.test", pki.ca, "-tls1_2", "-cipher", "AES256-GCM-SHA384", "-keylogfile", log)
            assert ok, text

        self.crossed = b"".join(held_at_the_wall(self.net, self.vault, client) for _ in range(HANDSHAKES))
        with open(log) as handle:
            text = handle.read()
        self.premasters = {p: [bytes.fromhex(p)[2:]] for p in re.findall(r"^RSA [0-9a-f]+ ([0-9a-f]{96})$", text, re.M)}
        self.masters = {m: [bytes.fromhex(m)] for m in re.findall(r"^CLIENT_RANDOM [0-9a-f]+ ([0-9a-f]{96})$", text, re.M)}
        assert len(self.premasters) == len(self.masters) == HANDSHAKES
        self.wire = b"".join(bytes(part) for tape in wire.tapes for part in tape)
        self.edge = edge
        wire.close()

    def found(self, secrets, data):
        return {name for name, spellings in secrets.items() if spellings[0] in data}

    def in_memory(self, pid, secrets):
        return keysearch.in_process(pid, secrets)


@pytest.fixture
def watch(site, pki, origin, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to look into other processes")
    return lambda options, extra="": Watched(site, pki, origin, tmp_path, options, extra)


def test_plain_premasters_are_found_on_their_way(watch):
    """The control of the search."""
    seen = watch(PLAIN)
    assert seen.found(seen.premasters, seen.crossed) == set(seen.premasters)
    assert not seen.found(seen.premasters, seen.wire)  # the channel is encrypted
    assert not seen.found(seen.premasters, Wall(seen.vault).read())  # wiped where they lay


def test_bound_premasters_never_leave_the_vault(watch):
    """Neither the wall, the net process, the channel, the wire nor the edge ever sees one; the master secrets do cross."""
    seen = watch(BOUND)
    wait_until(lambda: seen.edge.admin.metric(r"keyless_edge_connections_active") == 0, "the sessions' end")
    assert seen.found(seen.masters, seen.crossed) == set(seen.masters)  # the search sees what crosses
    assert not seen.found(seen.premasters, seen.crossed)
    assert not seen.found(seen.premasters | seen.masters, seen.wire)
    for pid in (seen.net, seen.vault, seen.server.pid, seen.edge.pid):
        assert not seen.in_memory(pid, seen.premasters)
    assert not seen.in_memory(seen.net, seen.masters)
    assert not seen.in_memory(seen.edge.pid, seen.masters)
