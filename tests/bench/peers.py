"""The servers that are measured, each with one worker, the same certificates, no resumption and the same origin: our edge with
its key server, and nginx, HAProxy and hitch with the keys in their pockets, as far as they are installed. KEYS are
{kind: (key, certificate)}.

Each has `name`, `port`, `pids` (of the processes that handle connections) and `close()`.
"""
import os
import resource
import shutil
import socket
import ssl
import subprocess

import machine
from daemon import Daemon, program, wait_until
from fleet import write


# Files that a server may have open, two for each connection and some of its own.
FILES = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] % (1 << 63), 65536)
CONNECTIONS = (FILES - 200) // 2


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def host_of(kind):
    """Each certificate has a name of its own: hitch does not choose between two of one name."""
    return kind + ".bench.test"


def shakes_hands(port):
    """True when a worker is there: the port alone may be open before there is one."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw, tls.wrap_socket(raw, server_hostname=host_of("p256")):
            return True
    except OSError:
        return False


class Origin:
    """build/bench/origin, on the client's CPU."""

    def __init__(self):
        self.process = subprocess.Popen(machine.pinned([program("bench/origin")], machine.CLIENT_CPU), stdout=subprocess.PIPE, text=True)
        self.address = "127.0.0.1:%d" % int(self.process.stdout.readline())

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class Peer:
    """One of the others; CONFIG becomes its configuration file, COMMAND starts it in the foreground."""

    def __init__(self, name, folder, port, config, command, workers):
        self.name, self.port = name, port
        path = write(os.path.join(folder, name + ".conf"), config)
        self.daemon = Daemon([word.replace("CONFIG", path) for word in command], cwd=folder)
        try:
            wait_until(lambda: self._alive() and shakes_hands(port), "a handshake with " + name)
        except AssertionError:
            self.daemon.kill()
            raise
        self.pids = machine.children(self.daemon.pid) if workers else [self.daemon.pid]
        machine.pin(self.pids, machine.SERVER_CPU)

    def _alive(self):
        if self.daemon.process.poll() is not None:
            raise AssertionError("%s ended; its log:\n%s" % (self.name, "\n".join(self.daemon.lines)))
        return True

    def close(self):
        self.daemon.stop(seconds=60)


def start_nginx(folder, keys, origin):
    port = free_port()
    hosts = "".join("""  server {
    listen 127.0.0.1:%d ssl%s; server_name %s; ssl_certificate %s; ssl_certificate_key %s;
    location / { proxy_pass http://%s; }
  }
""" % (port, "" if i else " backlog=4096", host_of(kind), cert, key, origin.address) for i, (kind, (key, cert)) in enumerate(keys.items()))
    return Peer("nginx", folder, port, """daemon off; worker_processes 1; worker_rlimit_nofile %(files)d; pid %(folder)s/nginx.pid;
error_log stderr error; user root;
events { worker_connections %(files)d; }
http {
  access_log off; ssl_session_cache off; ssl_session_tickets off; keepalive_timeout 300; keepalive_requests 1000000;
  client_header_timeout 300; proxy_temp_path %(folder)s/proxy; client_body_temp_path %(folder)s/body;
  fastcgi_temp_path %(folder)s/f; uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
  proxy_max_temp_file_size 0;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ALL;
%(hosts)s}
""" % {"folder": folder, "hosts": hosts, "files": FILES},
                ["nginx", "-p", folder, "-c", "CONFIG"], workers=True)


def pem(folder, kind, key, cert):
    """Certificate and key in one file, as HAProxy and hitch want it."""
    with open(key) as k, open(cert) as c:
        return write(os.path.join(folder, kind + ".pem"), c.read() + k.read(), 0o400)


def start_haproxy(folder, keys, origin):
    port = free_port()
    certificates = " ".join("crt " + pem(folder, kind, *pair) for kind, pair in keys.items())
    return Peer("haproxy", folder, port, """global
  nbthread 1
  maxconn %d
  tune.ssl.cachesize 0
  ssl-default-bind-options no-tls-tickets
  ssl-default-bind-ciphers ALL
defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s
listen bench
  bind 127.0.0.1:%d ssl %s backlog 4096 ssl-min-ver TLSv1.2
  server origin %s
""" % (CONNECTIONS, port, certificates, origin.address), ["haproxy", "-db", "-f", "CONFIG"], workers=False)


def start_hitch(folder, keys, origin):
    port = free_port()
    files = "".join('pem-file = "%s"\n' % pem(folder, kind, *pair) for kind, pair in keys.items())
    host, number = origin.address.rsplit(":", 1)
    return Peer("hitch", folder, port, """frontend = "[127.0.0.1]:%d"
backend = "[%s]:%s"
workers = 1
backlog = 4096
daemon = off
quiet = on
tls-protos = TLSv1.2 TLSv1.3
ciphers = "ALL"
user = "root"
%s""" % (port, host, number, files), ["hitch", "--config=CONFIG"], workers=True)


STARTS = {"nginx": start_nginx, "haproxy": start_haproxy, "hitch": start_hitch}


def start_all(folder, keys, origin, stack):
    """Those that are installed, and the names of those that are not. STACK closes what was started."""
    running, missing = [], []
    for name, start in STARTS.items():
        if shutil.which(name) is None:
            missing.append(name)
            continue
        own = os.path.join(folder, name)
        os.makedirs(own)
        running.append(start(own, keys, origin))
        stack.callback(running[-1].close)
    return running, missing


class Ours:
    """Our edge, in the words of the others; `key_pids` are the processes of its key server."""

    def __init__(self, edge, server):
        self.name, self.port, self.pids = "edge", edge.port, [edge.pid]
        self.key_pids = server_pids(server)
        machine.pin(self.pids, machine.SERVER_CPU)
        machine.pin(self.key_pids, machine.SERVER_CPU)


def server_pids(server):
    return [server.pid, *machine.children(server.pid)]
