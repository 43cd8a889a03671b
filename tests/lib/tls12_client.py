"""A TLS 1.2 client by hand, for what no library lets one choose: every byte of its ClientHello.

Knows TLS_RSA_WITH_AES_128_CBC_SHA with the extended master secret and encrypt-then-MAC only. Verifies the server's Finished, so
what it talks to has the right master secret. Its ClientKeyExchange may hold anything.
"""
import hashlib
import hmac
import os
import struct
import subprocess

import tls12

EXTENDED_MASTER_SECRET, ENCRYPT_THEN_MAC = 23, 22
ALERT, FINISHED = 21, 20
RECORD_MAX = 16384
ALGORITHMS = struct.pack(">HHHHH", 13, 6, 4, 0x0401, 0x0804)  # without them OpenSSL refuses the certificate


def openssl(*arguments, input):
    return subprocess.run(["openssl", *arguments], input=input, capture_output=True, check=True).stdout


def with_length(ciphertext):
    """The body of a ClientKeyExchange (RFC 5246, 7.4.7.1)."""
    return struct.pack(">H", len(ciphertext)) + ciphertext


class Alert(Exception):
    """The server has sent one in place of what was due: its AlertDescription."""


class Client:
    """On the connected socket RAW, to the server whose certificate is in the file CERT. What is not encrypted is in records of RECORD bytes."""

    def __init__(self, raw, random, cert, record=RECORD_MAX):
        self.raw, self.random, self.cert, self.record_max = raw, random, cert, record
        self.messages, self.sent, self.received = b"", 0, 0

    # ---- records ----

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            more = self.raw.recv(length - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def record(self):
        kind, _, length = struct.unpack(">BHH", self._exactly(5))
        return kind, self._exactly(length)

    def _send_clear(self, kind, body):
        self._send_records(kind, body, self.record_max)

    def _send_records(self, kind, body, size):
        parts = [body[at:at + size] for at in range(0, len(body), size)]
        self.raw.sendall(b"".join(struct.pack(">BHH", kind, 0x0303, len(part)) + part for part in parts))

    def _mac(self, key, number, kind, content):
        return hmac.new(key, struct.pack(">QBHH", number, kind, 0x0303, len(content)) + content, hashlib.sha1).digest()

    def _send_sealed(self, kind, plain):
        iv, pad = os.urandom(tls12.BLOCK), tls12.BLOCK - len(plain) % tls12.BLOCK
        content = iv + openssl("enc", "-e", "-aes-128-cbc", "-nopad", "-K", self.keys[0].hex(), "-iv", iv.hex(),
                               input=plain + bytes([pad - 1]) * pad)
        self._send_records(kind, content + self._mac(self.macs[0], self.sent, kind, content), RECORD_MAX)
        self.sent += 1

    def _receive_sealed(self):
        kind, body = self.record()
        content, mac = body[:-tls12.MAC], body[-tls12.MAC:]
        assert hmac.compare_digest(mac, self._mac(self.macs[1], self.received, kind, content)), "a record does not authenticate"
        self.received += 1
        plain = openssl("enc", "-d", "-aes-128-cbc", "-nopad", "-K", self.keys[1].hex(), "-iv", content[:tls12.BLOCK].hex(),
                        input=content[tls12.BLOCK:])
        return kind, plain[:len(plain) - plain[-1] - 1]

    # ---- the handshake ----

    def _message(self, kind, body):
        message = struct.pack(">I", kind << 24 | len(body)) + body
        self.messages += message
        return message

    def _flight(self):
        """The server's messages up to ServerHelloDone: {type: body}."""
        waiting, found = b"", {}
        while tls12.SERVER_HELLO_DONE not in found:
            kind, body = self.record()
            if kind == ALERT:
                raise Alert(body[1])
            assert kind == tls12.HANDSHAKE, "record type %d: %s" % (kind, body.hex())
            waiting += body
            while len(waiting) >= 4 and len(waiting) >= 4 + int.from_bytes(waiting[1:4], "big"):
                length = 4 + int.from_bytes(waiting[1:4], "big")
                self.messages += waiting[:length]
                found[waiting[0]], waiting = waiting[4:length], waiting[length:]
        return found

    def _derive(self, server_random, premaster):
        self.master = tls12.prf(premaster, b"extended master secret", hashlib.sha256(self.messages).digest(), 48)
        block = tls12.prf(self.master, b"key expansion", server_random + self.random, 2 * (tls12.MAC + tls12.KEY))
        m, k = tls12.MAC, tls12.KEY
        self.macs, self.keys = (block[:m], block[m:2 * m]), (block[2 * m:2 * m + k], block[2 * m + k:])

    def _finished(self, label):
        return tls12.prf(self.master, label, hashlib.sha256(self.messages).digest(), 12)

    def say_hello(self, version=0x0303, extensions=b"", suites=b""):
        """Sends a ClientHello with SUITES and EXTENSIONS beside its own."""
        self.version = struct.pack(">H", version)
        extensions += b"".join(struct.pack(">HH", n, 0) for n in (EXTENDED_MASTER_SECRET, ENCRYPT_THEN_MAC)) + ALGORITHMS
        suites += b"\0\x2f"
        self._send_clear(tls12.HANDSHAKE, self._message(
            tls12.CLIENT_HELLO, self.version + self.random + b"\0" + struct.pack(">H", len(suites)) + suites + b"\1\0"
            + struct.pack(">H", len(extensions)) + extensions))

    def hello(self, **hello):
        """Sends a ClientHello and reads the server's flight."""
        self.say_hello(**hello)
        self.server_random = self._flight()[tls12.SERVER_HELLO][2:34]

    def exchange(self, key_exchange=None):
        """Sends ClientKeyExchange: with the body KEY_EXCHANGE, or a good one."""
        premaster = self.version + os.urandom(46)
        if key_exchange is None:
            key_exchange = with_length(openssl("pkeyutl", "-encrypt", "-certin", "-inkey", self.cert, input=premaster))
        self._send_clear(tls12.HANDSHAKE, self._message(tls12.CLIENT_KEY_EXCHANGE, key_exchange))
        self._derive(self.server_random, premaster)

    def finish(self):
        """Sends Finished and verifies the server's."""
        self._send_clear(tls12.CHANGE_CIPHER_SPEC, b"\1")
        self._send_sealed(tls12.HANDSHAKE, self._message(FINISHED, self._finished(b"client finished")))
        self.expect_change()
        kind, finished = self._receive_sealed()
        assert kind == tls12.HANDSHAKE and finished[4:] == self._finished(b"server finished")

    def expect_change(self):
        """Reads ChangeCipherSpec; Alert when that comes instead."""
        kind, body = self.record()
        if kind == ALERT:
            raise Alert(body[1])
        assert (kind, body) == (tls12.CHANGE_CIPHER_SPEC, b"\1")

    def handshake(self, **hello):
        self.hello(**hello)
        self.exchange()
        self.finish()

    def renegotiate(self):
        """Sends a ClientHello where none is due any more."""
        self._send_sealed(tls12.HANDSHAKE, bytes([tls12.CLIENT_HELLO, 0, 0, 40]) + bytes(40))

    # ---- data ----

    def send(self, data):
        self._send_sealed(tls12.DATA, data)

    def receive(self):
        """Everything up to the server's close_notify."""
        data = b""
        while True:
            kind, plain = self._receive_sealed()
            if kind == ALERT:
                return data
            data += plain
