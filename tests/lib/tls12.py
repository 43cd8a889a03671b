"""What somebody does with a recorded TLS 1.2 session and secrets that he has come by: takes it apart and tries to decrypt it.

Knows TLS_RSA_WITH_AES_128_CBC_SHA with encrypt-then-MAC only, which the openssl command can decrypt record by record.
"""
import base64
import hashlib
import hmac
import struct
import subprocess

from processes import start

SUITE = "AES128-SHA"  # for clients
HANDSHAKE, CHANGE_CIPHER_SPEC, DATA = 22, 20, 23
CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, SERVER_HELLO_DONE, CLIENT_KEY_EXCHANGE = 1, 2, 11, 14, 16
MAC, KEY, BLOCK = 20, 16, 16


def prf(secret, label, seed, length):
    """RFC 5246, 5, with SHA-256."""
    seed = label + seed
    a, out = seed, b""
    while len(out) < length:
        a = hmac.new(secret, a, hashlib.sha256).digest()
        out += hmac.new(secret, a + seed, hashlib.sha256).digest()
    return out[:length]


def records(stream):
    at = 0
    while at + 5 <= len(stream):
        kind, _, length = struct.unpack_from(">BHH", stream, at)
        yield kind, bytes(stream[at + 5:at + 5 + length])
        at += 5 + length


def split(stream):
    """What was sent in one direction: (handshake messages in clear, encrypted records)."""
    clear, sealed, changed = b"", [], False
    for kind, body in records(stream):
        if kind == CHANGE_CIPHER_SPEC:
            changed = True
        elif changed:
            sealed.append((kind, body))
        elif kind == HANDSHAKE:
            clear += body
    messages = {}
    while clear:
        length = int.from_bytes(clear[1:4], "big")
        messages[clear[0]] = clear[:4 + length]
        clear = clear[4 + length:]
    return messages, sealed


class Recording:
    """A session as it was seen on the wire."""

    def __init__(self, tape):
        client, self.from_client = split(tape[0])
        server, self.from_server = split(tape[1])
        self.parts = [client[CLIENT_HELLO], server[SERVER_HELLO], server[CERTIFICATE], server[SERVER_HELLO_DONE],
                      client[CLIENT_KEY_EXCHANGE]]
        self.client_random = self.parts[0][6:38]
        self.server_random = self.parts[1][6:38]
        self.session_id = self.parts[1][39:39 + self.parts[1][38]]
        self.ciphertext = self.parts[4][6:]
        assert self.parts[1][39 + len(self.session_id):][:2] == b"\x00\x2f", "not " + SUITE

    @property
    def messages(self):
        return b"".join(self.parts)

    def with_session_id(self, session_id):
        """The five messages, with another session id in ServerHello."""
        hello = self.parts[1]
        assert len(session_id) == len(self.session_id)
        hello = hello[:39] + session_id + hello[39 + len(session_id):]
        return b"".join([self.parts[0], hello, *self.parts[2:]])

    def extended_master(self, premaster):
        """RFC 7627, 4."""
        return prf(premaster, b"extended master secret", hashlib.sha256(self.messages).digest(), 48)

    def plain_master(self, premaster):
        """RFC 5246, 8.1."""
        return prf(premaster, b"master secret", self.client_random + self.server_random, 48)

    def decrypt(self, master):
        """What the two said, (client, server); None unless every record authenticates."""
        block = prf(master, b"key expansion", self.server_random + self.client_random, 2 * (MAC + KEY))
        macs, keys = (block[:MAC], block[MAC:2 * MAC]), (block[2 * MAC:2 * MAC + KEY], block[2 * MAC + KEY:])
        said = [self._open(sealed, mac, key)
                for sealed, mac, key in zip((self.from_client, self.from_server), macs, keys)]
        return None if None in said else tuple(said)

    @staticmethod
    def _open(sealed, mac_key, key):
        """The records of one direction, each authenticated before it is decrypted (encrypt-then-MAC, RFC 7366)."""
        said = b""
        for number, (kind, body) in enumerate(sealed):
            content, mac = body[:-MAC], body[-MAC:]
            header = struct.pack(">QBHH", number, kind, 0x0303, len(content))
            if not hmac.compare_digest(mac, hmac.new(mac_key, header + content, hashlib.sha1).digest()):
                return None
            plain = subprocess.run(["openssl", "enc", "-d", "-aes-128-cbc", "-nopad", "-K", key.hex(), "-iv", content[:BLOCK].hex()],
                                   input=content[BLOCK:], capture_output=True, check=True).stdout
            if kind == DATA:
                said += plain[:len(plain) - plain[-1] - 1]
        return said


class Asker:
    """Somebody with an edge's identity and pre-shared key (tests/lib/peer_ask.c)."""

    def __init__(self, program, server, identity, psk_path):
        self.process = start([program, server.address, server.identity.public, identity.path, psk_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self, text):
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; its last line says why
        return self.process.stdout.readline().rstrip("\n") or "closed"

    def ask(self, *words):
        """(status, bytes)"""
        status, _, answer = self.line(" ".join(w.hex() if isinstance(w, (bytes, bytearray)) else w for w in words)).partition(" ")
        return status, bytes.fromhex(answer) if status != "closed" else answer

    def epoch(self, verb="epoch"):
        """(number, key, left_ms) of the latest epoch, or of one more with verb "next_epoch"."""
        number, key, left = self.line(verb).split()
        return int(number), bytes.fromhex(key), int(left)

    def master(self, key_id, messages):
        return self.ask("rsa_master", key_id, messages)

    def premaster(self, key_id, ciphertext, version=0x0303):
        return self.ask("rsa_premaster", key_id, "%04x" % version, ciphertext)

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(timeout=20)
        self.process.stdout.close()


def handshake(session_id, ciphertext):
    """The five messages of an RSA key exchange, ClientHello to ClientKeyExchange, as short as the vault takes them."""
    extensions = struct.pack(">HHH", 4, 23, 0)  # extended_master_secret
    bodies = [(CLIENT_HELLO, b"\3\3" + b"c" * 32 + b"\0" + b"\0\2\0\x2f" + b"\1\0" + extensions),
              (SERVER_HELLO, b"\3\3" + b"s" * 32 + struct.pack("B", len(session_id)) + session_id + b"\0\x2f" + b"\0" + extensions),
              (CERTIFICATE, b"\0\0\0"), (SERVER_HELLO_DONE, b""),
              (CLIENT_KEY_EXCHANGE, struct.pack(">H", len(ciphertext)) + ciphertext)]
    return b"".join(struct.pack(">I", kind << 24 | len(body)) + body for kind, body in bodies)


def session_id(epoch_key, random):
    return random + hmac.new(epoch_key, b"keyless session id" + random, hashlib.sha256).digest()[:16]


def epoch_key(group_secret, edge_public, number, length_ms):
    """What only the vaults can compute: for tests that know the group secret."""
    secret = hmac.new(group_secret, b"keyless epochs" + struct.pack(">Q", length_ms), hashlib.sha256).digest()
    return hmac.new(secret, b"keyless epoch" + base64.b64decode(edge_public) + struct.pack(">Q", number), hashlib.sha256).digest()
