"""The key server: CPU for one operation beside `openssl speed`, one request alone, two edges that get in each other's way, memory."""
import json
import os
import subprocess
import time

import goals
import machine
from daemon import program, wait_until
from fleet import Identity, keyless, write
from peers import server_pids

OPERATIONS = (("sign_tls13", "rsa2048"), ("rsa_master", "rsa2048"), ("sign_tls13", "rsa3072"), ("sign_tls13", "rsa4096"),
              ("sign_tls13", "p256"), ("sign_tls13", "p384"), ("sign_tls13", "ed25519"))
SHORT_OPERATIONS = (("sign_tls13", "rsa2048"), ("rsa_master", "rsa2048"), ("sign_tls13", "p256"), ("sign_tls13", "ed25519"))
IN_FLIGHT = 64
FLOOD = 1024
# Any number of channels may come from here, and be judged the same as those of many addresses.
ROOM = "handshakes_per_second = 1000000\nhalf_open_max = 10000\naccess_log = off\n"


def bench(config, *arguments, configs=()):
    command = [program("keyless"), "bench", "-c", config, "--json"]
    for more in configs:
        command += ["-c", more]
    done = subprocess.run(machine.pinned([*command, *arguments], machine.CLIENT_CPU), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit("%s\n%s%s" % (" ".join(command), done.stdout, done.stderr))
    return json.loads(done.stdout)[0]


def knows_lanes(site):
    """Whether this build has the setting that turns the lanes off."""
    _, config, _ = site.server_folder([], name="trial-of-settings")
    done = subprocess.run([program("keyless-server"), "-T", "-c", config], capture_output=True, text=True)
    return any(line.split("=")[0].strip() == "lanes" for line in done.stdout.splitlines())


class KeyServers:
    """One with the lanes of this CPU, one without them where that can be chosen; each on one CPU with one worker."""

    def __init__(self, run):
        self.run = run
        self.kinds, one = {}, ROOM + ("workers = 1\n" if machine.SERVER_CPU >= 0 else "")
        self.can_choose = knows_lanes(run.site)
        plain = goals.LANES if machine.has_ifma() else goals.SCALAR
        self.kinds[plain] = self._start(one)
        if plain == goals.LANES and self.can_choose:
            self.kinds[goals.SCALAR] = self._start(one + "lanes = off\n")
        self.operations = SHORT_OPERATIONS if run.short else OPERATIONS

    def _start(self, extra):
        server = self.run.site.start_server(self.run.key_files, extra=extra)
        machine.pin(server_pids(server), machine.SERVER_CPU)
        server.bench_config = self.run.site.edge_config([(server.address, server.identity.public)], [], "127.0.0.1:1")
        server.bench_admin = "%s:%d" % (server.admin.host, server.admin.port)
        return server

    @property
    def usual(self):
        return self.kinds.get(goals.LANES) or self.kinds[goals.SCALAR]

    def measure(self):
        """One round of every operation, `openssl speed` of the same key between them."""
        for key_type in dict.fromkeys(key for _, key in self.operations):
            self.run.say("openssl speed, %s" % key_type)
            self.run.note(("speed", key_type), machine.speed_us(key_type, self.run.seconds))
            for operation, key in self.operations:
                if key == key_type:
                    self._measure_kinds(operation, key)

    def _measure_kinds(self, operation, key):
        for kind, server in self.kinds.items():
            self.run.say("key server (%s), %s with %s" % (kind, operation, key))
            found = bench(server.bench_config, "--admin", server.bench_admin, "--op", operation, "--key", key, "--in-flight",
                          str(IN_FLIGHT), "--seconds", str(self.run.seconds))
            self.run.note(("server", kind, operation, key), found["cpu_us"]["total"])

    def measure_alone(self):
        """A request when there is no other: an echo before and after, so that a slow moment hits both."""
        for _ in range(self.run.rounds):
            for key in ("p256", "rsa2048"):
                self.run.say("one request alone, %s" % key)
                self._echo()
                found = bench(self.usual.bench_config, "--op", "sign_tls13", "--key", key, "--in-flight", "1", "--seconds",
                              str(self.run.seconds))
                self.run.note(("alone", key), found["latency_us"]["p50"])
                self._echo()

    def _echo(self):
        done = subprocess.run([program("bench/echo"), str(machine.SERVER_CPU), str(machine.CLIENT_CPU), str(self.run.seconds / 2)],
                              capture_output=True, text=True, check=True)
        self.run.note("echo", json.loads(done.stdout)["p50_us"])

    def rows(self):
        for operation, key in self.operations:
            speed = self.run.median(("speed", key))
            for kind in (goals.LANES, goals.SCALAR):
                yield self._row(kind, operation, key, speed)

    def alone_rows(self):
        for key in ("p256", "rsa2048"):
            alone = self.run.median(("alone", key))
            floor = self.run.median("echo") + self.run.median(("speed", key))
            yield goals.row("one request alone", "one request alone, %s signature, p50; goal: over an echo (%.0f µs) and the operation" % (
                key, self.run.median("echo")), alone, "µs", floor, "echo + operation", at_most=goals.ALONE_US, value=alone - floor)

    def _row(self, kind, operation, key, speed):
        cpu, goal = self.run.median(("server", kind, operation, key)), goals.KEY_SERVER[kind].get(key)
        what = "%s with %s, %d in flight%s" % (operation, key, IN_FLIGHT, "" if kind == goals.LANES else ", lanes off")
        reason = None
        if cpu is None:
            reason = "no IFMA" if kind == goals.LANES else "no setting `lanes` in this build"
        return goals.row("key server", what, cpu, "µs CPU", speed, "openssl speed", at_least=goal, not_applicable=reason,
                         value=None if cpu is None else speed / cpu)


class Neighbours:
    """Two edges at a key server as it is started without a word about CPUs and workers."""

    def __init__(self, run):
        self.run, site = run, run.site
        other, psk = Identity(site.folder, "other.key"), keyless("genkey").stdout
        psk_path = write(os.path.join(site.folder, "other.psk"), psk, 0o400)
        self.server = site.start_server(run.key_files, extra=ROOM, authorized=site.authorized_line("first") + site.authorized_line(
            "other", other, psk.strip()))
        pair = [(self.server.address, self.server.identity.public)]
        self.first = site.edge_config(pair, [], "127.0.0.1:1")
        self.other = site.edge_config(pair, [], "127.0.0.1:1", identity=other, psk_path=psk_path)

    def measure(self):
        seconds = max(1.0, 2 * self.run.seconds)
        self.run.say("ECDSA beside %d RSA of another edge" % FLOOD)
        flood = subprocess.Popen([program("keyless"), "bench", "-c", self.other, "--op", "sign_tls13", "--key", "rsa2048", "--in-flight",
                                  str(FLOOD), "--seconds", str(seconds + 2), "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            wait_until(lambda: self.server.admin.metric("keyless_server_vault_queued") > FLOOD / 2, "a queue of RSA")
            found = bench(self.first, "--op", "sign_tls13", "--key", "p256", "--in-flight", "1", "--seconds", str(seconds))
            assert self.server.admin.metric("keyless_server_vault_queued") > FLOOD / 2, "the RSA requests were over too soon"
        finally:
            beside = flood.communicate(timeout=60)[0]
        assert json.loads(beside)[0]["failed"] == 0
        self.run.note("beside p50", found["latency_us"]["p50"] / 1e3)
        self.run.note("beside p99", found["latency_us"]["p99"] / 1e3)

    def rows(self):
        yield goals.row("key server", "P-256 beside %d RSA in flight from another edge, p99" % FLOOD, self.run.median("beside p99"),
                        "ms", self.run.median("beside p50"), "its p50", at_most=goals.BESIDE_RSA_MS)


class Memory:
    """A key server that has done nothing yet, before there is another whose pages it would share."""

    def __init__(self, run):
        self.run = run

    def measure(self):
        site = self.run.site
        server = site.start_server(self.run.key_files, extra=ROOM)
        pids = server_pids(server)
        self.run.note("server start, resident", machine.resident_kb(pids) / 1024)
        proportional = machine.proportional_kb(pids)
        if proportional is not None:
            self.run.note("server start", proportional / 1024)
        config = site.edge_config([(server.address, server.identity.public)], [], "127.0.0.1:1")
        bench(config, "--op", "sign_tls13", "--key", "p256", "--in-flight", "1", "--seconds", "0.2")
        before, times = machine.resident_kb(pids), 3  # a key server takes 256 channels of one edge
        count = times * 64
        self.run.say("%d idle channels" % count)
        crowd = subprocess.Popen([program("keyless"), "bench", *["-c", config] * times, "--channels", "64", "--op", "sign_tls13", "--key",
                                  "p256", "--in-flight", "1", "--seconds", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: len(server.admin.status()["edges"]) >= count, "%d channels" % count, 60)
            time.sleep(0.2)  # what connecting took may still be given back
            self.run.note("server channel", (machine.resident_kb(pids) - before) / count)
        finally:
            crowd.terminate()
            crowd.wait()

    def rows(self):
        yield goals.row("memory", "key server at start, all its processes, shared pages counted once", self.run.median("server start"), "MB",
                        self.run.median("server start, resident"), "counted in each", at_most=goals.SERVER_START_MB,
                        not_applicable=None if "server start" in self.run.found else "only root may read it")
        yield goals.row("memory", "key server, each idle channel", self.run.median("server channel"), "KB", at_most=goals.SERVER_CHANNEL_KB)

