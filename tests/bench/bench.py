#!/usr/bin/python3
"""CPU time per operation of the key server and per handshake of the edge, beside OpenSSL and nginx in the same run.

    make bench [ROUNDS=3] [SECONDS_EACH=2]

Machines are shared and noisy, so only ratios taken in one run count; each figure is the median of interleaved rounds. nginx is measured
when it is installed. Prints a table and writes it as JSON to build/bench.json.
"""
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
sys.dont_write_bytecode = True

import pki  # noqa: E402
from daemon import BUILD, Daemon, program, wait_until  # noqa: E402
from fleet import Site, write  # noqa: E402
from origin import RawOrigin  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS") or 3)
SECONDS = float(os.environ.get("SECONDS_EACH") or 2)
TICK = os.sysconf("SC_CLK_TCK")
IN_FLIGHT = (1, 64)
OPERATIONS = (("rsa_premaster", "rsa2048"), ("sign_tls13", "rsa2048"), ("sign_tls13", "p256"), ("sign_tls13", "p384"), ("sign_tls13", "ed25519"))
SPEED = {"rsa2048": "rsa2048", "p256": "ecdsap256", "p384": "ecdsap384", "ed25519": "ed25519"}
HANDSHAKES = (("TLS 1.2 RSA", "rsa2048", ["-tls1_2", "-cipher", "AES128-GCM-SHA256"]),
              ("TLS 1.2 ECDHE-RSA", "rsa2048", ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]),
              ("TLS 1.2 ECDHE-ECDSA", "p256", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]),
              ("TLS 1.3 ECDSA", "p256", ["-tls1_3"]))


def cpu_seconds(*pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid) as handle:
            fields = handle.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def speed_us(key_type):
    """CPU µs of one private-key operation by `openssl speed`."""
    done = subprocess.run(["openssl", "speed", "-mr", "-seconds", str(max(1, int(SECONDS))), SPEED[key_type]], capture_output=True, text=True, check=True)
    # +F2 (RSA), +F4 (ECDSA), +F6 (EdDSA; with the name before the figures): signatures a second
    line = next(l for l in done.stdout.splitlines() if re.match(r"\+F[246]:", l))
    fields = line.split(":")
    return 1e6 / float(fields[4] if fields[0] == "+F6" else fields[3])


def key_server_us(site, server, edge_conf, operation, key_type, in_flight):
    pids = [pid for name, pid in server.children().items()]
    before = cpu_seconds(*pids)
    done = subprocess.run([program("tests/load"), edge_conf, site.ids[key_type], operation, key_type, str(in_flight), str(SECONDS)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit("load: " + done.stdout + done.stderr)
    result = json.loads(done.stdout)
    result["cpu_us"] = 1e6 * (cpu_seconds(*pids) - before) / result["answered"]
    return result


def handshake_us(port, pids, ca, options):
    """Server CPU µs per full handshake: openssl s_time makes one after another."""
    before = cpu_seconds(*pids)
    done = subprocess.run(["openssl", "s_time", "-connect", "127.0.0.1:%d" % port, "-new", "-time", str(max(1, int(SECONDS))), "-CAfile", ca, *options],
                          capture_output=True, text=True)
    count = int(re.search(r"(\d+) connections in \d+ real seconds", done.stdout).group(1))
    return 1e6 * (cpu_seconds(*pids) - before) / count


class Nginx:
    """nginx with one worker and the keys in its pocket."""

    def __init__(self, folder, keys, port_from):
        self.port = port_from()
        servers = "".join("ssl_certificate %s; ssl_certificate_key %s;" % (cert, key) for key, cert in keys)
        config = write(os.path.join(folder, "nginx.conf"), """daemon off; worker_processes 1; pid %s/nginx.pid; error_log %s/nginx.log;
events { worker_connections 1000; } http { access_log off; ssl_session_cache off; ssl_session_tickets off; server { listen 127.0.0.1:%d ssl;
ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers DEFAULT; %s return 200 ok; } }""" % (folder, folder, self.port, servers))
        self.daemon = Daemon(["nginx", "-p", folder, "-c", config])
        self.worker = wait_until(lambda: [pid for pid in self.daemon.children().values()], "nginx's worker")[0]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def cpu_name():
    with open("/proc/cpuinfo") as handle:
        text = handle.read()
    ifma = " with AVX-512 IFMA" if "avx512ifma" in text else ""
    return re.search(r"model name\s*:\s*(.*)", text).group(1) + ifma


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
        sys.stderr.flush()


def measure(site, server, edge, keys, nginx):
    """{name: [one value a round]}; rounds go around everything, so that a busy neighbour disturbs all alike."""
    found = {}

    def note(name, value):
        found.setdefault(name, []).append(value)

    for turn in range(ROUNDS):
        for key_type in SPEED:
            progress("round %d of %d: openssl speed %s" % (turn + 1, ROUNDS, key_type))
            note(("speed", key_type), speed_us(key_type))
        for operation, key_type in OPERATIONS:
            for in_flight in IN_FLIGHT:
                progress("round %d of %d: key server, %s %s, %d in flight" % (turn + 1, ROUNDS, operation, key_type, in_flight))
                result = key_server_us(site, server, site.edge_conf, operation, key_type, in_flight)
                note(("server", operation, key_type, in_flight), result["cpu_us"])
                note(("p50", operation, key_type, in_flight), result["p50_us"])
        for name, key_type, options in HANDSHAKES:
            progress("round %d of %d: edge, %s" % (turn + 1, ROUNDS, name))
            ca = site.authority.ca
            note(("edge", name), handshake_us(edge.port, [edge.pid], ca, options))
            if nginx:
                note(("nginx", name), handshake_us(nginx.port, [nginx.worker], ca, options))
    progress("")
    return {name: statistics.median(values) for name, values in found.items()}


def rows(found):
    for operation, key_type in OPERATIONS:
        for in_flight in IN_FLIGHT:
            us, reference = found["server", operation, key_type, in_flight], found["speed", key_type]
            yield {"what": "key server: %s %s, %d in flight" % (operation, key_type, in_flight), "cpu_us": us,
                   "reference": "openssl speed", "reference_us": reference, "rate_ratio": reference / us,
                   "p50_us": found["p50", operation, key_type, in_flight]}
    for name, _, _ in HANDSHAKES:
        us, reference = found["edge", name], found.get(("nginx", name))
        yield {"what": "edge: " + name, "cpu_us": us, "reference": "nginx, local key" if reference else "none (nginx is not installed)",
               "reference_us": reference, "cpu_ratio": us / reference if reference else None, "p50_us": None}


def lanes():
    """What private-key operations cost in the lanes of the vector unit, as a text; or why that was not measured."""
    done = subprocess.run([program("tests/lanes")], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else done.stderr


def main():
    folder = tempfile.mkdtemp(prefix="keyless-bench-")
    site = Site(folder, pki.Authority(os.path.join(folder, "pki")))
    nginx = None
    origin = RawOrigin(lambda connection: connection.recv(1))
    try:
        keys = {t: site.authority.issue(t, t, ["bench.test"]) for t in SPEED}
        site.ids = {t: pki.key_id(cert) for t, (_, cert) in keys.items()}
        server = site.start_server([key for key, _ in keys.values()])
        served = [keys["rsa2048"], keys["p256"]]
        edge = site.start_edge([server], [cert for _, cert in served], origin.address, extra="access_log = off")
        site.edge_conf = edge.command[2]
        if shutil.which("nginx"):
            nginx = Nginx(folder, served, free_port)
        table = list(rows(measure(site, server, edge, keys, nginx)))
        print("CPU: %s; %s; medians of %d rounds of %g s" % (
            cpu_name(), subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout.strip(), ROUNDS, SECONDS))
        print("%-52s %9s %11s %9s %8s" % ("", "CPU µs", "reference", "ratio", "p50 µs"))
        for row in table:
            ratio = row.get("rate_ratio") or row.get("cpu_ratio")
            print("%-52s %9.1f %11s %9s %8s" % (row["what"], row["cpu_us"], "%.1f" % row["reference_us"] if row["reference_us"] else "-",
                                                "%.2f" % ratio if ratio else "-", "%.0f" % row["p50_us"] if row["p50_us"] else ""))
        print("ratio: for the key server its rate against `openssl speed` (1 = as cheap, more is better); for the edge its CPU against nginx (less is better)")
        print("\n" + lanes(), end="")
        with open(os.path.join(BUILD, "bench.json"), "w") as handle:
            json.dump({"cpu": cpu_name(), "rows": table}, handle, indent=2)
    finally:
        if nginx:
            nginx.daemon.stop()
        origin.close()
        site.close()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


sys.exit(main())
