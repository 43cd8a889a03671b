"""A whole keyless site on loopback: key servers, an edge and what they need, in one folder.

    site = Site(folder, authority)
    server = site.start_server()          # a KeyServer
    edge = site.start_edge([server])      # an Edge
    site.close()
"""
import http.client
import json
import os
import re
import resource
import shutil
import signal
import subprocess

from daemon import PATIENCE, Daemon, program, wait_until
import pki


def keyless(*arguments, input=None, check=True):
    done = subprocess.run([program("keyless"), *map(str, arguments)], input=input, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError("keyless %s: exit %d\n%s%s" % (" ".join(map(str, arguments)), done.returncode,
                                                            done.stdout, done.stderr))
    return done


# As root a daemon must be told whom to become.
USER = 'user = "nobody"\n' if os.geteuid() == 0 else ""


def may_lock():
    """Whether a key server can lock its keys: by CAP_IPC_LOCK or by a limit that is no smaller than usual."""
    with open("/proc/self/status") as handle:
        capabilities = int(re.search(r"CapEff:\s+(\w+)", handle.read()).group(1), 16)
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    return capabilities >> 14 & 1 == 1 or limit == resource.RLIM_INFINITY or limit >= 8 << 20


def user_line(extra):
    return "" if re.search(r"^user\b", extra, re.M) else USER


def memory_line(extra):
    return "" if re.search(r"^memory\b", extra, re.M) or may_lock() else "memory = unlocked\n"


def write(path, text, mode=0o600):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as handle:
        handle.write(text)
    os.chmod(path, mode)
    return path


class Identity:
    """A secret key file in FOLDER and the public key in base64."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        secret = keyless("genkey").stdout
        write(self.path, secret, 0o400)
        self.public = keyless("pubkey", input=secret).stdout.strip()


class Admin:
    """The admin endpoint of a daemon."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    def get(self, path):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """{'name{labels}': value}"""
        found = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def metric(self, pattern):
        """The sum of all samples whose name and labels match. There must be a metric of that name with these labels, whatever their
        values: of one that is called otherwise, none would be counted for ever."""
        samples = self.metrics()
        family = [name for name in samples if re.search(re.split(r"\\?\{", pattern)[0], name)]
        assert family, "no metric is called %s" % pattern
        for label in re.findall(r'(\w+)="', pattern):
            assert any(label + '="' in name for name in family), "%s: none has the label %s" % (pattern, label)
        return sum(samples[name] for name in family if re.search(pattern, name))

    def wait_metric(self, pattern, least=1):
        return wait_until(lambda: self.metric(pattern) >= least, "metric %s >= %s" % (pattern, least))

    def status(self):
        return json.loads(self.get("/status.json")[1])


def _bound(daemon, event, since=0):
    line = daemon.wait_log(r"event=%s\b" % event, since)
    host, port = re.search(r'address="?\[?([^"\]\s]+?)\]?:(\d+)"?(?:\s|$)', line).groups()
    return host, int(port)


class KeyServer(Daemon):
    def __init__(self, folder, identity, config, name="keyless-server", inside=()):
        self.folder, self.identity = folder, identity
        super().__init__([*inside, program(name), "-c", config])
        self.host, self.port = _bound(self, "listening")
        self.admin = Admin(*_bound(self, "admin_listening"))
        self.wait_log(r"event=ready\b")

    @property
    def address(self):
        return "%s:%d" % (self.host, self.port)


class Edge(Daemon):
    def __init__(self, config, inside=()):
        super().__init__([*inside, program("keyless-edge"), "-c", config])
        self.host, self.port = _bound(self, "listening")
        self.admin = Admin(*_bound(self, "admin_listening"))

    def wait_ready(self):
        wait_until(lambda: self.admin.get("/ready")[0] == 200, "/ready of the edge")
        return self

    def wait_grants(self, count=1):
        """Until COUNT key servers have said which keys this edge may use, and it may use one of each: it chooses by that from then on."""
        wait_until(lambda: sum(n > 0 for name, n in self.admin.metrics().items() if "key_server_granted_keys{" in name) >= count,
                   "the keys that %d key servers grant" % count)
        return self

    def wait_epochs(self, count=1):
        """Until COUNT key servers have announced an epoch: sessions are bound from then on."""
        wait_until(lambda: sum(n > 0 for name, n in self.admin.metrics().items() if "key_server_epoch{" in name) >= count,
                   "epochs of %d key servers" % count)
        return self


class Site:
    """FOLDER holds everything; daemons that it started end with close()."""

    def __init__(self, folder, authority=None):
        self.folder = str(folder)
        self.daemons, self.count = [], 0
        os.makedirs(self.folder, exist_ok=True)
        self.authority = authority or pki.Authority(os.path.join(self.folder, "pki"))
        self.edge_identity = Identity(self.folder, "edge.key")
        self.psk_path = write(os.path.join(self.folder, "psk"), keyless("genkey").stdout, 0o400)
        with open(self.psk_path) as handle:
            self.psk = handle.read().strip()
        self.group_secret = write(os.path.join(self.folder, "group.secret"), keyless("genkey").stdout, 0o400)

    def add_key(self, folder, key, name=None):
        os.makedirs(folder, exist_ok=True)
        target = os.path.join(folder, name or os.path.basename(key))
        shutil.copy(key, target)
        os.chmod(target, 0o400)

    def authorized_line(self, name="edge1", identity=None, psk=None, options="ops=sign_tls12,sign_tls13,rsa_master,rsa_premaster"):
        return "%s %s psk=%s %s\n" % ((identity or self.edge_identity).public, name, psk or self.psk, options)

    def server_folder(self, keys, authorized=None, extra="", listen="127.0.0.1:0", name=None, modes=("bound", "plain")):
        """The files of one key server, all of whose keys allow MODES; returns (identity, configuration path, folder)."""
        self.count += 1
        folder = os.path.join(self.folder, name or "server%d" % self.count)
        os.makedirs(folder)
        identity = Identity(folder, "identity.key")
        for key in keys:
            self.add_key(os.path.join(folder, "keys"), key)
        os.makedirs(os.path.join(folder, "keys"), exist_ok=True)
        shutil.copy(self.group_secret, os.path.join(folder, "group.secret"))
        write(os.path.join(folder, "authorized_edges"), self.authorized_line() if authorized is None else authorized)
        if os.environ.get("LANES") == "off" and "lanes" not in extra:
            extra += "\nlanes = off"
        defaults = "key_default { modes = {%s} " % ", ".join('"%s"' % mode for mode in modes)
        if "key_default {" in extra:
            extra = extra.replace("key_default {", defaults, 1)
        else:
            extra = defaults + "}\n" + extra
        text = 'listen = {"%s"}\nadmin = "127.0.0.1:0"\n%s\n' % (listen, user_line(extra) + memory_line(extra) + extra)
        config = write(os.path.join(folder, "server.conf"), text)
        return identity, config, folder

    def start_server(self, keys, program_name="keyless-server", **options):
        identity, config, folder = self.server_folder(keys, **options)
        return self.restart_server(folder, identity, config, program_name)

    def restart_server(self, folder, identity, config, program_name="keyless-server", inside=()):
        """INSIDE is what runs the program somewhere else: the beginning of a command."""
        server = KeyServer(folder, identity, config, program_name, inside)
        self.daemons.append(server)
        server.config = config
        return server

    def bring_back(self, server):
        """Starts a key server that has ended once more, on the address that it had; returns the new process."""
        with open(server.config) as handle:
            text = handle.read()
        write(server.config, re.sub(r'listen = \{".*?"\}', 'listen = {"%s"}' % server.address, text))
        self.daemons.remove(server)
        return self.restart_server(server.folder, server.identity, server.config)

    def absent_server(self, address="127.0.0.1:1"):
        """The pair for edge_config() of a key server that is not there: nobody has its key, this site's edge neither."""
        return address, keyless("pubkey", input=keyless("genkey").stdout).stdout.strip()

    def edge_config(self, servers, certs, origin, tls="", timeouts="", extra="", identity=None, psk_path=None, threads=1,
                    listen="127.0.0.1:0"):
        """SERVERS are (address, public key) pairs; CERTS are certificate files; returns the configuration path."""
        self.count += 1
        folder = os.path.join(self.folder, "edge%d" % self.count)
        os.makedirs(os.path.join(folder, "certs"))
        for cert in certs:
            shutil.copy(cert, os.path.join(folder, "certs"))
        text = 'listen = {"%s"}\nadmin = "127.0.0.1:0"\nidentity = "%s"\npsk = "%s"\norigin = "%s"\nthreads = %d\n%s%s\n' % (
            listen, (identity or self.edge_identity).path, psk_path or self.psk_path, origin, threads, user_line(extra), extra)
        for number, (address, key) in enumerate(servers, 1):
            text += 'key_server ks%d { address = "%s" key = "%s" }\n' % (number, address, key)
        text += "tls { %s }\ntimeouts { %s }\n" % (tls or "rsa_key_exchange = on", timeouts)
        return write(os.path.join(folder, "edge.conf"), text)

    def start_edge(self, servers, certs, origin, ready=True, **options):
        pairs = [(s.address, s.identity.public) if isinstance(s, KeyServer) else s for s in servers]
        edge = Edge(self.edge_config(pairs, certs, origin, **options))
        self.daemons.append(edge)
        return edge.wait_ready() if ready else edge

    def close(self):
        """Ends every daemon; raises when one had died, did not end with 0, or reported a sanitizer's finding."""
        troubles = []
        for daemon in reversed(self.daemons):
            alive = daemon.process.poll() is None
            code = daemon.stop() if alive else daemon.wait_exit()
            if code not in (0, -signal.SIGKILL) or daemon.find(r"\w+Sanitizer|runtime error:"):
                troubles.append("%s (%s when the test was over) ended with %d; its log:\n%s" % (
                    " ".join(daemon.command), "there" if alive else "gone", code, "\n".join(daemon.lines)))
        self.daemons.clear()
        if troubles:
            raise AssertionError("\n".join(troubles))
