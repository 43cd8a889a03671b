"""ClientKeyExchange with what can be no encryption at all, as anyone can see: it fares as any wrong padding does (RFC 5246, 7.4.7.1)."""
import os
import re
import socket

import pytest

import clients
from daemon import SLOW
from fleet import Site
from test_ciphertexts import numbers
from tls12_client import Alert, Client, with_length

SIZE = 256
DECODE_ERROR, ILLEGAL_PARAMETER, BAD_RECORD_MAC = 50, 47, 20
MODES = {"plain": ("rsa_premaster", "ops=sign_tls12,rsa_premaster"), "bound": ("rsa_master", "ops=sign_tls12,rsa_master")}
ANSWERS = r'keyless_server_answers_total\{operation="%s",status="ok"'
REPLACED = "keyless_edge_rsa_ciphertexts_replaced_total"
# What differs between any two connections that fail alike.
OWN = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\w*(trace|peer|client|us|ms|time|addr|port)=\S+")


class Rig:
    """An edge whose key server serves RSA key exchange in one mode only."""

    def __init__(self, site, pki, origin, mode):
        self.operation, options = MODES[mode]
        self.pki = pki
        self.server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=options), extra="epoch = 10m")
        self.edge = site.start_edge([self.server], [pki.rsa[1]], origin.address)
        if mode == "bound":
            self.edge.wait_epochs()
        self.edge.wait_grants()

    def client(self, raw):
        return Client(raw, os.urandom(32), self.pki.rsa[1])

    def connect(self):
        return socket.create_connection((self.edge.host, self.edge.port), timeout=60 * SLOW)

    def counted(self):
        """Figures of both sides: operations answered, refused, ciphertexts replaced, exchanges that are not in this mode."""
        server, edge = self.server.admin, self.edge.admin
        return [server.metric(ANSWERS % self.operation), server.metric("keyless_server_refusals_total"), edge.metric(REPLACED),
                edge.metric("keyless_edge_key_operations_rejected_total"), edge.metric('rsa_key_exchanges_total{mode="too_long"}')]

    def fail(self, key_exchange, then=Client.finish):
        """(alert, log lines, how the figures changed) of a handshake with that body of ClientKeyExchange, and what comes THEN."""
        before, since = self.counted(), self.edge.mark()
        with self.connect() as raw, pytest.raises(Alert) as alert:
            client = self.client(raw)
            client.hello()
            client.exchange(key_exchange)
            then(client)
        self.edge.wait_log("event=connection .*result=handshake_failed", since)
        lines = [OWN.sub("*", line) for line in self.edge.find("event=(handshake_failed|connection) ", since)]
        return alert.value.args[0], lines, [b - a for a, b in zip(before, self.counted())]

    def serves(self):
        with self.connect() as raw:
            client = self.client(raw)
            client.handshake()
            client.send(clients.REQUEST)
            since = self.edge.mark()
            assert b"from the origin" in client.receive()
        self.edge.wait_log("event=connection ", since)


@pytest.fixture(scope="module", params=list(MODES))
def rig(request, tmp_path_factory, pki, origin):
    site = Site(tmp_path_factory.mktemp(request.param), pki.authority)
    yield Rig(site, pki, origin, request.param)
    site.close()


def impossible(modulus):
    """Ciphertexts by what is wrong with them."""
    values = {"0": 0, "1": 1, "n - 1": modulus - 1, "n": modulus, "n + 1": modulus + 1, "2n - 1": 2 * modulus - 1, "all ones": 256 ** SIZE - 1}
    lengths = (0, 1, 48, SIZE - 1, SIZE + 1, 2 * SIZE, 2046)
    return {**{name: min(value, 256 ** SIZE - 1).to_bytes(SIZE, "big") for name, value in values.items()},
            **{"%d bytes" % length: os.urandom(length) for length in lengths}, "a zero before as many as there should be": bytes(1) + os.urandom(SIZE)}


def test_what_can_be_no_encryption_fares_as_a_wrong_padding(rig, pki):
    modulus, _ = numbers(pki.rsa[0])
    wrong_padding = b"\0" + os.urandom(SIZE - 1)
    alert, lines, counted = rig.fail(with_length(wrong_padding))
    assert (alert, counted) == (BAD_RECORD_MAC, [1, 0, 0, 0, 0]), lines
    for what, ciphertext in impossible(modulus).items():
        # The key server is asked in each case: this, and not its time, is what takes the time.
        assert rig.fail(with_length(ciphertext)) == (alert, lines, [1, 0, 1, 0, 0]), what
        rig.serves()


def test_values_at_the_ends_of_the_range_are_asked_for(rig, pki):
    modulus, _ = numbers(pki.rsa[0])
    for value in (2, modulus - 2):
        alert, _, counted = rig.fail(with_length(value.to_bytes(SIZE, "big")))
        assert (alert, counted) == (BAD_RECORD_MAC, [1, 0, 0, 0, 0]), value
    rig.serves()


@pytest.mark.parametrize("body, alert", [
    (b"", DECODE_ERROR), (b"\0", DECODE_ERROR), (b"\1\0" + bytes(255), DECODE_ERROR), (b"\1\0" + bytes(257), DECODE_ERROR),
    (os.urandom(2049), ILLEGAL_PARAMETER)], ids=["empty", "half a length", "less than its length", "more than its length", "too long a message"])
def test_a_message_that_is_none_is_refused_at_once(rig, body, alert):
    """Whatever it holds: OpenSSL does not get as far as a ciphertext, and nobody is asked."""
    seen, _, counted = rig.fail(body, then=Client.expect_change)
    assert (seen, counted) == (alert, [0, 0, 0, 0, 0])
    rig.serves()
