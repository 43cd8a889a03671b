"""Where pre-master secrets go, with clients that tell us theirs. In plain mode they cross the wall, the net process and the
channel; in bound mode they stay in the vault. The first is what shows that the search would find them."""
import os
import re
import signal
import subprocess
import types

import pytest

import clients
import keysearch
from daemon import PATIENCE, wait_until
from relay import Relay

BOUND = "ops=sign_tls12,sign_tls13,rsa_master"
PLAIN = "ops=sign_tls12,sign_tls13,rsa_premaster"
HANDSHAKES = 20
CALLS = "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg"


def child(server, part):
    return next(pid for name, pid in server.children().items() if part in name)


class Calls:
    """Every byte that a process reads or writes, by strace, in the order of its system calls."""

    def __init__(self, pid, file):
        self.file = file
        self.process = subprocess.Popen(["strace", "-f", "-p", str(pid), "-o", file, "-e", CALLS, "-xx", "-s", "100000"],
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        assert "attached" in line, line

    def close(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=PATIENCE)
        with open(self.file) as handle:
            text = handle.read()
        return b"\n".join(bytes.fromhex(s.replace("\\x", "")) for s in re.findall(r'"((?:\\x[0-9a-f]{2})+)"', text))


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
        calls = Calls(self.net, str(tmp_path / "calls"))
        log = str(tmp_path / "secrets")
        for _ in range(HANDSHAKES):
            ok, text = clients.s_client(edge, "rsa.test", pki.ca, "-tls1_2", "-cipher", "AES256-GCM-SHA384", "-keylogfile", log)
            assert ok, text
        with open(log) as handle:
            text = handle.read()
        self.premasters = {p: [bytes.fromhex(p)[2:]] for p in re.findall(r"^RSA [0-9a-f]+ ([0-9a-f]{96})$", text, re.M)}
        self.masters = {m: [bytes.fromhex(m)] for m in re.findall(r"^CLIENT_RANDOM [0-9a-f]+ ([0-9a-f]{96})$", text, re.M)}
        assert len(self.premasters) == len(self.masters) == HANDSHAKES
        self.crossed = calls.close()
        self.wire = b"".join(bytes(part) for tape in wire.tapes for part in tape)
        self.edge = edge
        wire.close()

    def found(self, secrets, data):
        return {name for name, spellings in secrets.items() if spellings[0] in data}

    def in_memory(self, pid, secrets):
        return keysearch.in_process(pid, secrets)


@pytest.fixture
def watch(site, pki, origin, tmp_path):
    if not clients.have("strace"):
        pytest.skip("strace is missing")
    if os.geteuid() != 0:
        pytest.skip("needs root to look into other processes")
    return lambda options, extra="": Watched(site, pki, origin, tmp_path, options, extra)


def test_plain_premasters_are_found_on_their_way(watch):
    """The control of the search."""
    seen = watch(PLAIN)
    assert seen.found(seen.premasters, seen.crossed) == set(seen.premasters)
    assert not seen.found(seen.premasters, seen.wire)  # the channel is encrypted


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
