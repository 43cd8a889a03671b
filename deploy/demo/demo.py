#!/usr/bin/python3
"""The whole path on one machine: an origin, a key server and an edge, three kinds of handshake, a traced one, and proofs.

Unprivileged, on loopback, in a temporary folder. Exit status 0 only if everything held. KEEP=1 stays up afterwards.
"""
import http.server
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import keysearch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build")
NAME = "localhost"
PAGE = b"<!doctype html><title>keyless</title><h1>It works: this page came through keyless TLS.</h1>\n"
PATIENCE = 30
BOLD, GREEN, RED, DIM, PLAIN = (("\033[1m", "\033[32m", "\033[31m", "\033[2m", "\033[0m")
                                if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("",) * 5)
failures = []


def say(text=""):
    print(text, flush=True)


def step(text):
    say("\n%s── %s%s" % (BOLD, text, PLAIN))


def prove(good, text, detail=""):
    say("  %s %s" % (GREEN + "✓" + PLAIN if good else RED + "✗" + PLAIN, text))
    if not good:
        failures.append(text)
        for line in detail.splitlines()[-15:]:
            say("      " + line)
    return good


class Daemon:
    """A program in the foreground whose log goes to a file and is read along."""

    def __init__(self, folder, name, *command):
        self.name, self.log = name, os.path.join(folder, name + ".log")
        self.output = open(self.log, "ab")
        self.offset = self.output.tell()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        running.append(self)

    def wait_log(self, pattern):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with open(self.log, errors="replace") as handle:
                handle.seek(self.offset)
                text = handle.read()
            found = re.search(pattern, text)
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise SystemExit("%s did not say /%s/; its log is:\n%s" % (self.name, pattern, text))

    def children(self):
        done = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return {name: int(pid) for pid, name in (line.split(None, 1) for line in done.stdout.splitlines())}

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.output.close()
        running.remove(self)
        return code


running = []


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


def start_origin():
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    return origin.server_port


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)


def keyless(*arguments):
    return run(os.path.join(BUILD, "keyless"), *arguments)


def curl(site, *options):
    return run("curl", "-sS", "--max-time", "20", "--cacert", site.ca, "-w",
               "%{http_code} %{ssl_verify_result} %{time_appconnect}", "--resolve", "%s:%d:127.0.0.1" % (NAME, site.port),
               "-o", os.path.join(site.folder, "page"), *options, "https://%s:%d/" % (NAME, site.port))


def resumable(site, *options):
    """openssl s_client with a session file: what a returning browser does."""
    return run("openssl", "s_client", "-connect", "127.0.0.1:%d" % site.port, "-servername", NAME, "-CAfile", site.ca,
               "-verify_return_error", "-tls1_2", "-cipher", "AES128-GCM-SHA256", "-ign_eof", *options,
               input="GET / HTTP/1.0\r\n\r\n", timeout=PATIENCE)


LISTEN = r'(listen\s*=\s*\{\s*"127\.0\.0\.1:)\d+"'


class Trial:
    """The files that `keyless init` makes, and the running daemons."""

    def __init__(self, folder, origin_port):
        self.folder = folder
        self.ca = os.path.join(folder, "ca.pem")
        done = keyless("init", "--edge-listen", "127.0.0.1:0", "--origin", "127.0.0.1:%d" % origin_port, folder)
        if done.returncode != 0:
            raise SystemExit("keyless init failed: " + done.stderr)
        self._pin_port("server/server.conf", LISTEN, "0")

    def start_server(self):
        self.server = Daemon(self.folder, "keyless-server", os.path.join(BUILD, "keyless-server"), "-c",
                             os.path.join(self.folder, "server", "server.conf"))
        port = self.server.wait_log(r"event=listening\b.*address=\"?127\.0\.0\.1:(\d+)").group(1)
        self.server.wait_log(r"event=ready\b")
        self._pin_port("server/server.conf", LISTEN, port)
        self._pin_port("edge/edge.conf", r'(address\s*=\s*"127\.0\.0\.1:)\d+"', port)

    def start_edge(self):
        self.edge = Daemon(self.folder, "keyless-edge", os.path.join(BUILD, "keyless-edge"), "-c",
                           os.path.join(self.folder, "edge", "edge.conf"))
        self.port = int(self.edge.wait_log(r"event=listening\b.*address=\"?127\.0\.0\.1:(\d+)").group(1))
        self.edge.wait_log(r"event=key_server_connected")

    def _pin_port(self, name, pattern, port):
        """Port 0 takes a free one; then the other side, and a restart, need to know it."""
        path = os.path.join(self.folder, name)
        with open(path) as handle:
            text = handle.read()
        with open(path, "w") as handle:
            handle.write(re.sub(pattern, r'\g<1>%s"' % port, text))

    def admin(self, half):
        return "unix:" + os.path.join(self.folder, half, "admin.sock")


def show_pages(site):
    step("One page, three kinds of handshake, fetched with curl")
    for what, options in (("TLS 1.2, RSA key exchange  (the key server decrypts)", ["--tls-max", "1.2", "--ciphers", "AES128-GCM-SHA256"]),
                          ("TLS 1.2, ECDHE with RSA    (the key server signs)", ["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256"]),
                          ("TLS 1.3                    (the key server signs)", ["--tlsv1.3"])):
        done = curl(site, *options)
        with open(os.path.join(site.folder, "page"), "rb") as handle:
            page = handle.read()
        good = done.returncode == 0 and done.stdout.startswith("200 0 ") and page == PAGE
        seconds = float(done.stdout.split()[2]) if good else 0
        prove(good, "%s   handshake %4.1f ms" % (what, seconds * 1000), done.stderr)


def show_trace(site):
    step("The twelve steps of a TLS 1.2 RSA handshake, with the round trip to the key server")
    done = keyless("trace", "--local-key", os.path.join(site.folder, "server", "keys", "rsa.pem"), "--local-cert",
                   os.path.join(site.folder, "edge", "certs", "rsa.pem"), "--ca", site.ca, "--admin", site.admin("edge"), "--connect", "127.0.0.1:%d" % site.port,
                   "https://%s:%d/" % (NAME, site.port))
    say("\n".join("  " + line for line in done.stdout.splitlines()))
    prove(done.returncode == 0, "the trace is complete", done.stderr)


def key_files(site):
    folder = os.path.join(site.folder, "server", "keys")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def ordinary_server(site, key):
    """An ordinary TLS server with the key in its memory: what the search must find, or it proves nothing."""
    cert = os.path.join(site.folder, "edge", "certs", os.path.basename(key))
    return Daemon(site.folder, "ordinary-server", "openssl", "s_server", "-accept", "127.0.0.1:0", "-key", key, "-cert", cert, "-quiet")


def wait_found(pid, numbers):
    """The positive control needs a moment until it has read its key."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = keysearch.in_process(pid, numbers)
        if found:
            return found
        time.sleep(0.05)
    return set()


def show_no_key(site):
    step("The edge has no key: a search for the keys' secret numbers")
    processes = {"edge process": site.edge.process.pid}
    processes.update(("key server, %s" % name, pid) for name, pid in site.server.children().items() if "net" in name)
    for key in key_files(site):
        name, numbers = os.path.basename(key), keysearch.secrets_of(key)
        in_memory = {k: v for k, v in numbers.items() if k != "PEM text"}
        for what, pid in processes.items():
            found = keysearch.in_process(pid, in_memory)
            prove(not found, "%-12s memory of the %s: none of its %d numbers" % (name, what, len(in_memory)), ", ".join(found))
        found = keysearch.in_folder(os.path.join(site.folder, "edge"), numbers)
        prove(not found, "%-12s files of the edge: none" % name, ", ".join(found))
    say("  The same search where the key is, so that it counts:")
    for key in key_files(site):
        name, numbers = os.path.basename(key), keysearch.secrets_of(key)
        found = keysearch.in_folder(os.path.join(site.folder, "server"), numbers)
        prove(bool(found), "%-12s files of the key server: found (%s)" % (name, ", ".join(sorted(found))))
        control = ordinary_server(site, key)
        found = wait_found(control.process.pid, {k: v for k, v in numbers.items() if k != "PEM text"})
        prove(bool(found), "%-12s memory of an ordinary TLS server: found (%s)" % (name, ", ".join(sorted(found))))
        control.stop()


def show_failure(site):
    step("Without the key server")
    session = os.path.join(site.folder, "session.pem")
    done = resumable(site, "-sess_out", session)
    prove("It works" in done.stdout, "a client comes and keeps its session ticket", done.stderr)
    prove(site.server.stop() == 0, "the key server is stopped (SIGTERM: it drains and exits 0)")
    begin = time.monotonic()
    done = curl(site, "--tls-max", "1.2", "--ciphers", "AES128-GCM-SHA256")
    prove(done.returncode != 0, "a new client is refused after %.1f s: %s" % (time.monotonic() - begin, done.stderr.strip()))
    done = resumable(site, "-sess_in", session)
    prove("It works" in done.stdout and "Reused, " in done.stdout,
          "the returning client gets its page: its session is resumed, no key is needed", done.stdout + done.stderr)
    site.start_server()
    site.edge.offset = 0
    begin = time.monotonic()
    while curl(site, "--tls-max", "1.2", "--ciphers", "AES128-GCM-SHA256").returncode != 0 and time.monotonic() - begin < PATIENCE:
        time.sleep(0.1)
    prove(time.monotonic() - begin < PATIENCE, "the key server is back; the edge recovers by itself, after %.1f s" % (time.monotonic() - begin))


def stay(site):
    step("Staying up (Ctrl-C ends)")
    say("  curl --cacert %s --resolve %s:%d:127.0.0.1 https://%s:%d/" % (site.ca, NAME, site.port, NAME, site.port))
    say("  %s/keyless trace --cipher kRSA --ca %s --admin %s --connect 127.0.0.1:%d https://%s:%d/" % (
        BUILD, site.ca, site.admin("edge"), site.port, NAME, site.port))
    say("  %s/keyless status %s" % (BUILD, site.admin("edge")))
    say("  %s/keyless keys -c %s/edge/edge.conf" % (BUILD, site.folder))
    say("  tail -f %s/keyless-edge.log %s/keyless-server.log" % (site.folder, site.folder))
    while True:
        signal.pause()


def with_right_to_look():
    """Daemons forbid others to read their memory; the proof needs the right. Unprivileged, a user namespace gives it."""
    if os.geteuid() == 0 or os.environ.get("KEYLESS_DEMO_INSIDE"):
        return
    if shutil.which("unshare") and run("unshare", "--user", "--map-root-user", "true").returncode == 0:
        os.environ["KEYLESS_DEMO_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", sys.executable, os.path.abspath(__file__)])
    raise SystemExit("demo: looking into a process's memory needs root or user namespaces, and this machine allows "
                     "neither; run: sudo make demo")


ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end(number, _):
    """A signal that asks for the end, at any moment: what was started is stopped, what was made is removed."""
    for other in ENDS:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main():
    with_right_to_look()
    begin = time.monotonic()
    for number in ENDS:
        signal.signal(number, end)
    folder = tempfile.mkdtemp(prefix="keyless-demo-")
    try:
        step("A trial site: keyless init, then an origin, a key server, an edge")
        site = Trial(folder, start_origin())
        site.start_server()
        site.start_edge()
        say("  key server 127.0.0.1:%s   edge https://%s:%d/   files %s" % (
            site.server.wait_log(r"address=\"?127\.0\.0\.1:(\d+)").group(1), NAME, site.port, folder))
        show_pages(site)
        show_trace(site)
        show_no_key(site)
        show_failure(site)
        say()
        if failures:
            say("%sFAILED%s: %s" % (RED, PLAIN, "; ".join(failures)))
        else:
            say("%sAll held%s, in %.0f s." % (GREEN + BOLD, PLAIN, time.monotonic() - begin))
        if os.environ.get("KEEP"):
            stay(site)
    finally:
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)
        for daemon in list(running):
            daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failures else 0


sys.exit(main())
