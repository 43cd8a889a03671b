"""Recorded RSA sessions, replayed later by somebody who has everything that an edge has: in bound mode it is of no use."""
import base64
import os
import re
import subprocess
import types

import pytest

import clients
import keysearch
import tls12
from daemon import program, wait_until
from fleet import Identity, keyless, write
from pki import key_id
from relay import Relay


BOUND = "ops=sign_tls12,sign_tls13,rsa_master"
PLAIN = "ops=sign_tls12,sign_tls13,rsa_premaster"
SECOND_MS = 1000  # of an epoch that is soon over


class Theft:
    """A site with one edge, and somebody who taps the wires on both sides of it and later has what the edge has:
    `thief()`; or what another edge has that may use the same key: `thief(second=True)`."""

    def __init__(self, site, pki, origin, options, extra="", tickets="off"):
        self.key, self.cert = pki.rsa
        self.key_id = key_id(self.cert)
        self.second = Identity(site.folder, "second.key")
        self.second_psk = write(site.folder + "/second.psk", keyless("genkey").stdout, 0o400)
        with open(self.second_psk) as handle:
            psk = handle.read().strip()
        lines = site.authorized_line(options=options) + site.authorized_line("edge2", self.second, psk, options)
        self.site = site
        self.server = site.start_server([self.key], authorized=lines, extra=extra)
        self.channel = Relay(self.server.host, self.server.port)
        self.edge = site.start_edge([(self.channel.address, self.server.identity.public)], [self.cert], origin.address,
                                    tls="rsa_key_exchange = on tickets = " + tickets)
        if options == BOUND:
            self.edge.wait_epochs()
        self.tap = Relay(self.edge.host, self.edge.port)
        self.ca, self.askers, self.log = pki.ca, [], os.path.join(site.folder, "secrets")
        with open(site.group_secret) as handle:
            self.group_secret = base64.b64decode(handle.read())

    def record(self):
        """One session of a client that uses RSA key exchange, as it was on the wire."""
        place = types.SimpleNamespace(host="127.0.0.1", port=self.tap.port)
        ok, text = clients.s_client(place, "rsa.test", self.ca, "-tls1_2", "-cipher", tls12.SUITE, "-keylogfile", self.log)
        assert ok, text
        return tls12.Recording(self.tap.tapes[-1])

    def secrets_of_clients(self):
        """(pre-master secrets, master secrets)"""
        with open(self.log) as handle:
            text = handle.read()
        return [{s: [bytes.fromhex(s)] for s in re.findall(r"^%s [0-9a-f]+ ([0-9a-f]{96})$" % kind, text, re.M)}
                for kind in ("RSA", "CLIENT_RANDOM")]

    def epoch_of(self, session_id, edge, length_ms):
        """The number of the epoch in which this session id was made; the owner can tell."""
        latest = self.thief().epoch()[0]
        return next(n for n in range(latest + 1, latest - 120, -1)
                    if tls12.session_id(tls12.epoch_key(self.group_secret, edge.public, n, length_ms), session_id[:16]) == session_id)

    def thief(self, second=False):
        asker = tls12.Asker(program("tests/peer_ask"), self.server, self.second if second else self.site.edge_identity,
                            self.second_psk if second else self.site.psk_path)
        self.askers.append(asker)
        return asker

    def close(self):
        for asker in self.askers:
            asker.close()
        self.tap.close()
        self.channel.close()


@pytest.fixture
def theft(site, pki, origin):
    made = []

    def make(options, extra="", **more):
        made.append(Theft(site, pki, origin, options, extra, **more))
        return made[-1]
    yield make
    for one in made:
        one.close()


# ---- plain mode: the attack ----

def test_tls12_rsa_plain_recorded_session_is_decrypted_with_what_its_edge_has(theft):
    plain = theft(PLAIN)
    recording = plain.record()
    status, premaster = plain.thief().premaster(plain.key_id, recording.ciphertext)
    assert status == "ok" and len(premaster) == 48
    said = recording.decrypt(recording.extended_master(premaster))
    assert said and b"GET / HTTP" in said[0] and b"from the origin" in said[1]


def test_tls12_rsa_plain_recorded_session_is_decrypted_with_what_another_edge_has(theft):
    plain = theft(PLAIN)
    recording = plain.record()
    status, premaster = plain.thief(second=True).premaster(plain.key_id, recording.ciphertext)
    assert status == "ok"
    assert recording.decrypt(recording.extended_master(premaster))
    assert recording.decrypt(recording.extended_master(bytes(48))) is None  # and with nothing else


# ---- bound mode ----

def test_tls12_rsa_bound_recorded_session_is_decrypted_within_its_epoch(theft):
    """What bound mode does not promise, and what shows that the tests below can fail: they only ask later, or as another."""
    bound = theft(BOUND, "epoch = 10m")
    recording = bound.record()
    status, master = bound.thief().master(bound.key_id, recording.messages)
    assert status == "ok" and len(master) == 48
    said = recording.decrypt(master)
    assert said and b"GET / HTTP" in said[0] and b"from the origin" in said[1]


def test_tls12_rsa_bound_recorded_session_is_refused_to_its_own_edge_after_its_epochs(theft):
    bound = theft(BOUND, "epoch = 1s")
    recording, thief = bound.record(), bound.thief()
    made_in = bound.epoch_of(recording.session_id, bound.site.edge_identity, SECOND_MS)
    number = thief.epoch()[0]
    while number < made_in + 2:
        number = thief.epoch("next_epoch")[0]
    assert thief.master(bound.key_id, recording.messages) == ("refused", b"")
    assert bound.server.wait_log(r"event=request_refused edge=edge1 op=rsa_master .*reason=session_id")
    assert thief.premaster(bound.key_id, recording.ciphertext) == ("refused", b"")


def test_tls12_rsa_bound_recorded_session_is_of_no_use_with_a_session_id_of_now(theft):
    """The vault answers, since the handshake looks like one that has just begun; but the secret is of another transcript."""
    bound = theft(BOUND, "epoch = 1s")
    recording, thief = bound.record(), bound.thief()
    status, master = "refused", b""
    while status != "ok":  # a busy machine may be late for this epoch; then the next
        _, key, _ = thief.epoch()
        status, master = thief.master(bound.key_id, recording.with_session_id(tls12.session_id(key, os.urandom(16))))
        if status != "ok":
            thief.epoch("next_epoch")
    assert len(master) == 48
    assert recording.decrypt(master) is None
    assert thief.master(bound.key_id, recording.with_session_id(os.urandom(32)))[0] == "refused"


def test_tls12_rsa_bound_recorded_session_is_refused_to_another_edge(theft):
    bound = theft(BOUND, "epoch = 10m")
    recording, other = bound.record(), bound.thief(second=True)
    assert other.master(bound.key_id, recording.messages) == ("refused", b"")
    assert other.premaster(bound.key_id, recording.ciphertext) == ("refused", b"")
    _, key, _ = other.epoch()
    status, master = other.master(bound.key_id, recording.with_session_id(tls12.session_id(key, os.urandom(16))))
    assert status == "ok" and recording.decrypt(master) is None


# ---- what the edge holds afterwards ----

def must_be_root():
    if os.geteuid() != 0:
        pytest.skip("needs root to look into the edge's memory")


def frames(stream, handshake):
    """(number, sealed bytes) of each frame of one direction of a recorded channel; HANDSHAKE is its message's length."""
    found, at = [], handshake
    while at + 2 <= len(stream):
        length = int.from_bytes(stream[at:at + 2], "big")
        if at + 2 + length > len(stream):
            break
        found.append((len(found), bytes(stream[at + 2:at + 2 + length])))
        at += 2 + length
    return found


MESSAGE1, MESSAGE2 = 96, 48


def opened(edge, frames_):
    """The numbers of those frames that something in the edge's memory opens."""
    short = [(n, sealed) for n, sealed in frames_ if len(sealed) <= 4096][:64]
    done = subprocess.run([program("tests/peer_keys"), str(edge.pid)], capture_output=True, text=True, check=True,
                          input="".join("%d %s\n" % (n, sealed.hex()) for n, sealed in short))
    assert int(re.search(r"tried (\d+)", done.stdout).group(1)) > 1000, done
    return [int(n) for n in re.findall(r"(\d+) opened", done.stdout)], len(short)


@pytest.mark.parametrize("tickets", ["off", "on"])
def test_tls12_rsa_bound_the_edge_keeps_no_secret_of_a_session_but_to_resume_it(theft, tickets):
    must_be_root()
    bound = theft(BOUND, tickets=tickets)
    for _ in range(5):
        bound.record()
    premasters, masters = bound.secrets_of_clients()
    assert len(premasters) == len(masters) == 5
    wait_until(lambda: bound.edge.admin.metric(r"keyless_edge_connections_active") == 0, "the sessions' end")
    assert keysearch.in_process(bound.edge.pid, premasters) == set()
    kept = keysearch.in_process(bound.edge.pid, masters)
    assert kept == (set(masters) if tickets == "on" else set())


def test_tls12_rsa_bound_channel_keys_of_the_past_are_gone(theft):
    """The master secrets crossed the channel: its keys of that time must not be there any more when it was replaced."""
    must_be_root()
    bound = theft(BOUND)
    for _ in range(3):
        bound.record()
    before = frames(bound.channel.tapes[0][1], MESSAGE2)
    assert len(before) >= 4  # a greeting, an epoch, three answers
    current, count = opened(bound.edge, before)
    assert len(current) == count  # the search finds a key that is in use (nothing was rekeyed within so short a time)
    bound.channel.cut()
    wait_until(lambda: len(bound.channel.tapes) > 1 and len(frames(bound.channel.tapes[-1][1], MESSAGE2)) > 1, "another channel")
    assert opened(bound.edge, before)[0] == []
    assert opened(bound.edge, frames(bound.channel.tapes[-1][1], MESSAGE2))[0] != []
