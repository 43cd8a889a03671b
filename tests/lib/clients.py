"""TLS clients that users have: openssl s_client, curl, gnutls-cli; and Python's ssl for the odd cases.

Each function returns (ok, text): whether a page came through a verified connection, and what the client said.
"""
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile

from daemon import PATIENCE

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
SECONDS = PATIENCE


def run(command, input=None, seconds=SECONDS, env=None):
    try:
        done = subprocess.run(command, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                              env=dict(os.environ, **(env or {})))
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        return -1, "no end after %d s\n%s" % (seconds, (error.stdout or b"").decode(errors="replace"))


def s_client(edge, name, ca, *options, session_in=None, session_out=None):
    """One request with openssl s_client; keeps the session in SESSION_OUT, offers the one in SESSION_IN."""
    command = ["openssl", "s_client", "-connect", "%s:%d" % (edge.host, edge.port), "-servername", name, "-CAfile", ca,
               "-verify_return_error", "-ign_eof", *options]
    if session_out:
        command += ["-sess_out", session_out]
    if session_in:
        command += ["-sess_in", session_in]
    code, text = run(command, input=REQUEST)
    return code == 0 and "from the origin" in text, text


def s_client_resumed(edge, name, ca, *options):
    """Two connections, the second offering the first one's session; ok when the second was resumed."""
    with tempfile.TemporaryDirectory() as folder:
        session = os.path.join(folder, "session")
        ok, text = s_client(edge, name, ca, *options, session_out=session)
        if not ok:
            return False, text
        ok, text = s_client(edge, name, ca, *options, session_in=session)
        return ok and re.search(r"^Reused, ", text, re.M) is not None, text


def curl(edge, name, ca, *options, path="/"):
    code, text = run(["curl", "-sS", "-v", "--resolve", "%s:%d:%s" % (name, edge.port, edge.host), "--cacert", ca,
                      "--max-time", str(SECONDS), *options, "https://%s:%d%s" % (name, edge.port, path)])
    return code == 0 and "from the origin" in text, text


def gnutls(edge, name, ca, priority, resume=False):
    """One request with gnutls-cli, after a first connection in the same process when RESUME."""
    command = ["gnutls-cli", "--port", str(edge.port), "--sni-hostname", name, "--verify-hostname", name, "--x509cafile", ca,
               "--priority", priority, *(["--resume", "--waitresumption"] if resume else []), edge.host]
    code, text = run(command, input=REQUEST)
    page = "from the origin" in text
    return page and (not resume or "This is a resumed session" in text), text


def have(name):
    return shutil.which(name) is not None


def context(ca, version=None, ciphers=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(ca)
    if version:
        made.minimum_version = made.maximum_version = version
    if ciphers:
        made.set_ciphers(ciphers)
    return made


RSA_KX = "AES128-GCM-SHA256"
NO_EXTENDED_MASTER_SECRET = 1  # SSL_OP_…, which Python's ssl has no name for


def connect(edge, name, tls, seconds=SECONDS, session=None):
    """A Python TLS connection that has finished its handshake."""
    raw = socket.create_connection((edge.host, edge.port), timeout=seconds)
    try:
        return tls.wrap_socket(raw, server_hostname=name, session=session)
    except Exception:
        raw.close()
        raise


def fetch(edge, name, tls, request=REQUEST, seconds=SECONDS, session=None):
    """The whole answer to REQUEST; raises what the connection raised."""
    with connect(edge, name, tls, seconds, session) as connection:
        connection.sendall(request)
        return read_all(connection)


def read_all(connection):
    parts = []
    while True:
        data = connection.recv(65536)
        if not data:
            return b"".join(parts)
        parts.append(data)


def reset(raw):
    """Closes with a TCP reset instead of a FIN."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


class Held:
    """A Python TLS 1.2 client that has read ServerHelloDone and holds its next flight back: ClientKeyExchange … Finished."""

    def __init__(self, edge, name, tls, seconds=SECONDS):
        self.raw = socket.create_connection((edge.host, edge.port), timeout=seconds)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = tls.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self._step()
        self.raw.sendall(self.outgoing.read())
        while not self.outgoing.pending:
            self._receive()
            self._step()
        self.flight = self.outgoing.read()

    def _receive(self):
        data = self.raw.recv(65536)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def _step(self):
        """True when the handshake is complete."""
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            return False

    def go_on(self):
        """Lets the flight go; the answer is for finish()."""
        self.raw.sendall(self.flight)
        self.flight = b""

    def finish(self, request=REQUEST):
        """The answer to REQUEST over the completed handshake; raises ssl.SSLError when there is none."""
        while not self._step():
            self._receive()
        self.tls.write(request)
        self.raw.sendall(self.outgoing.read())
        said = b""
        while True:
            try:
                data = self.tls.read(65536)
            except ssl.SSLWantReadError:
                self._receive()
                continue
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                return said
            said += data

    def close(self):
        self.raw.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
