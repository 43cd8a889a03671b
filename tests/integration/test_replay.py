"""Recorded RSA sessions, replayed later by somebody who has everything that an edge has: in bound mode it is of no use."""
import types

import pytest

import clients
import tls12
from daemon import program
from fleet import Identity, keyless, write
from pki import key_id
from relay import Relay


BOUND = "ops=sign_tls12,sign_tls13,rsa_master"
PLAIN = "ops=sign_tls12,sign_tls13,rsa_premaster"


class Theft:
    """A site with one edge, and somebody who taps its clients' wire and later has what the edge has: `thief(identity)`."""

    def __init__(self, site, pki, origin, options, extra):
        self.key, self.cert = pki.rsa
        self.key_id = key_id(self.cert)
        self.second = Identity(site.folder, "second.key")
        self.second_psk = write(site.folder + "/second.psk", keyless("genkey").stdout, 0o400)
        with open(self.second_psk) as handle:
            psk = handle.read().strip()
        lines = site.authorized_line(options=options) + site.authorized_line("edge2", self.second, psk, options)
        self.site = site
        self.server = site.start_server([self.key], authorized=lines, extra=extra)
        self.edge = site.start_edge([self.server], [self.cert], origin.address, tls="rsa_key_exchange = on tickets = off")
        self.tap = Relay(self.edge.host, self.edge.port)
        self.ca, self.askers = pki.ca, []

    def record(self):
        """One session of a client that uses RSA key exchange, as it was on the wire."""
        place = types.SimpleNamespace(host="127.0.0.1", port=self.tap.port)
        ok, text = clients.s_client(place, "rsa.test", self.ca, "-tls1_2", "-cipher", tls12.SUITE)
        assert ok, text
        return tls12.Recording(self.tap.tapes[-1])

    def thief(self, second=False):
        asker = tls12.Asker(program("tests/peer_ask"), self.server, self.second if second else self.site.edge_identity,
                            self.second_psk if second else self.site.psk_path)
        self.askers.append(asker)
        return asker

    def close(self):
        for asker in self.askers:
            asker.close()
        self.tap.close()


@pytest.fixture
def plain(site, pki, origin):
    made = Theft(site, pki, origin, PLAIN, "")
    yield made
    made.close()


def test_tls12_rsa_plain_recorded_session_is_decrypted_with_what_its_edge_has(plain):
    recording = plain.record()
    status, premaster = plain.thief().premaster(plain.key_id, recording.ciphertext)
    assert status == "ok" and len(premaster) == 48
    said = recording.decrypt(recording.extended_master(premaster))
    assert said and b"GET / HTTP" in said[0] and b"from the origin" in said[1]


def test_tls12_rsa_plain_recorded_session_is_decrypted_with_what_another_edge_has(plain):
    recording = plain.record()
    status, premaster = plain.thief(second=True).premaster(plain.key_id, recording.ciphertext)
    assert status == "ok"
    assert recording.decrypt(recording.extended_master(premaster))
    assert recording.decrypt(recording.extended_master(bytes(48))) is None  # and with nothing else
