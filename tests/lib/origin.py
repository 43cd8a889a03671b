"""Origins for tests: a small HTTP server, and raw TCP ones that misbehave on demand."""
import contextlib
import http.server
import socket
import socketserver
import threading

PAGE = b"<!doctype html><title>keyless</title><h1>from the origin</h1>\n"


@contextlib.contextmanager
def dead_port():
    """An address that refuses connections, for as long as the block lasts: the port is held, so that nobody gets it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield "127.0.0.1:%d" % held.getsockname()[1]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        size = int(self.path[6:]) if self.path.startswith("/size/") else None
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE) if size is None else size))
        self.end_headers()
        if size is None:
            self.wfile.write(PAGE)
            return
        block = bytes(range(256)) * 256
        while size > 0:
            self.wfile.write(block[:size])
            size -= len(block)

    def log_message(self, *_):
        pass


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        pass


class _LocalServer(_Server):
    address_family = socket.AF_UNIX

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("local", 0)


class HttpOrigin:
    """GET / gives PAGE, GET /size/N gives N bytes. `address` is ready for edge.conf."""

    def __init__(self, path=None):
        self.server = _LocalServer(path, _Handler) if path else _Server(("127.0.0.1", 0), _Handler)
        self.address = "unix:%s" % path if path else "127.0.0.1:%d" % self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class RawOrigin:
    """Calls HANDLE(socket) in a thread for every connection."""

    def __init__(self, handle):
        self.handle = handle
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.address = "127.0.0.1:%d" % self.port
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                self.handle(connection)
            except OSError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
