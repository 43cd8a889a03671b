"""Records and key exchanges that no client sends in good faith: whatever alert OpenSSL answers, the log and the metrics say that it
was the client, not this edge."""
import os
import socket
import struct

import pytest

import tls12
from daemon import SLOW
from tls12_client import Alert, Client, with_length

ECDHE_ECDSA_GCM, ECDHE_RSA_GCM, ECDHE_ECDSA_CHACHA, ECDHE_RSA_CHACHA, ECDHE_RSA_CBC = 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc013
RSA_GCM, RSA_CBC = 0x9c, 0x2f
X25519, P256 = 0x1d, 0x17
ECDSA_TOO = struct.pack(">HHHHHH", 13, 8, 6, 0x0403, 0x0401, 0x0804)
FAILURES = r'keyless_edge_handshake_failures_total\{reason="%s"'
LENGTHS = (0, 1, 8, 15, 16, 17, 23, 24, 40)


class Suspect(Client):
    """A client that says a ClientHello of its own and then what it likes."""

    def say(self, suite, name, group):
        host = name.encode()
        lists = [(0, struct.pack(">HBH", len(host) + 3, 0, len(host)) + host), (10, struct.pack(">HHH", 4, group, P256)), (11, b"\1\0"),
                 (23, b""), (0xff01, b"\0")]
        extensions = b"".join(struct.pack(">HH", number, len(body)) + body for number, body in lists) + ECDSA_TOO
        self._send_clear(tls12.HANDSHAKE, self._message(
            tls12.CLIENT_HELLO, b"\3\3" + self.random + b"\0" + struct.pack(">HH", 2, suite) + b"\1\0"
            + struct.pack(">H", len(extensions)) + extensions))
        self._flight()

    def go_on(self, key_exchange, *records):
        self._send_clear(tls12.HANDSHAKE, self._message(tls12.CLIENT_KEY_EXCHANGE, key_exchange))
        for kind, body in records:
            self.raw.sendall(struct.pack(">BHH", kind, 0x0303, len(body)) + body)

    def alert(self):
        with pytest.raises(Alert) as raised:
            while True:
                self.expect_change()
        return raised.value.args[0]


def failures(edge, reason):
    return edge.admin.metric(FAILURES % reason)


def assert_blamed(shared, suite, group, key_exchange, *records):
    """The edge ends the handshake of SUITE with an alert, and counts it as the client's fault."""
    edge, before = shared.edge, [failures(shared.edge, reason) for reason in ("tls", "internal")]
    name = "p256.test" if suite in (ECDHE_ECDSA_GCM, ECDHE_ECDSA_CHACHA) else "rsa.test"
    with socket.create_connection((edge.host, edge.port), timeout=30 * SLOW) as raw:
        client = Suspect(raw, os.urandom(32), None)
        client.say(suite, name, group)
        client.go_on(key_exchange, *records)
        client.alert()
    edge.admin.wait_metric(FAILURES % "tls", before[0] + 1)
    assert failures(edge, "internal") == before[1]


def good_exchange(suite):
    """One that the edge takes, although its sender knows no secret."""
    return with_length(b"\x12" + os.urandom(255)) if suite in (RSA_GCM, RSA_CBC) else b"\x20" + os.urandom(32)


@pytest.mark.parametrize("suite", [ECDHE_ECDSA_GCM, ECDHE_RSA_GCM, RSA_GCM, ECDHE_ECDSA_CHACHA, ECDHE_RSA_CHACHA, ECDHE_RSA_CBC, RSA_CBC],
                         ids=hex)
def test_a_first_encrypted_record_of_any_length(shared, suite):
    for length in LENGTHS:
        assert_blamed(shared, suite, X25519, good_exchange(suite), (tls12.CHANGE_CIPHER_SPEC, b"\1"), (tls12.HANDSHAKE, os.urandom(length)))


def test_a_second_change_of_the_cipher(shared):
    for suite in (ECDHE_RSA_GCM, ECDHE_RSA_CHACHA):
        assert_blamed(shared, suite, X25519, good_exchange(suite), *2 * [(tls12.CHANGE_CIPHER_SPEC, b"\1")])


@pytest.mark.parametrize("group, share", [
    (P256, b"\0"), (P256, b"\4" + bytes(64)), (P256, b"\4" + b"\xff" * 64), (P256, b"\2" + b"\xff" * 32), (P256, b"\5"), (P256, b""),
    (X25519, bytes(32)), (X25519, b"\1" + bytes(31)), (X25519, b"\1" * 31), (X25519, b"")])
def test_a_share_that_is_no_point(shared, group, share):
    assert_blamed(shared, ECDHE_RSA_GCM, group, bytes([len(share)]) + share)
