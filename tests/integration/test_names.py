"""Names instead of addresses: they move, cannot be found, or have addresses of which some are dead."""
import os
import signal
import subprocess

import pytest

import clients
from daemon import program, wait_until
from fleet import Edge, keyless
from processes import start
import small_disk

PATIENT = "key = 60s handshake = 120s"


class Hosts:
    """An /etc/hosts in a mount namespace of its own; `inside` is the beginning of a command that sees it."""

    def __init__(self, folder):
        self.path = str(folder / "hosts")
        self.write({})
        self.holder = start(
            [*small_disk.UNSHARE, "sh", "-c", 'mount --bind "$1" /etc/hosts && echo mounted && exec cat', "sh", self.path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"mounted\n":
            self.close()
            pytest.skip("no /etc/hosts can be mounted in a namespace of one's own")
        self.inside = ["nsenter", "--target", str(self.holder.pid), *small_disk.ENTER]

    def write(self, names):
        """{address: name}"""
        with open(self.path, "w") as file:
            file.write("127.0.0.1 localhost\n" + "".join("%s %s\n" % pair for pair in names.items()))

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()
        self.holder.stdout.close()


@pytest.fixture
def hosts(tmp_path):
    if small_disk.missing() or not os.path.exists("/etc/hosts"):
        pytest.skip("needs mount namespaces")
    hosts = Hosts(tmp_path)
    yield hosts
    hosts.close()


def fetch(edge, pki):
    return clients.fetch(edge, "p256.test", clients.context(pki.ca))


def start_edge(site, hosts, servers, pki, origin, **options):
    edge = Edge(site.edge_config(servers, [pki.p256[1]], origin, timeouts=PATIENT, **options), inside=hosts.inside)
    site.daemons.append(edge)
    return edge


def port_of(server):
    return server.address.rsplit(":", 1)[1]


def test_a_key_servers_name_moves_while_the_edge_runs(site, pki, origin, hosts):
    server = site.start_server([pki.p256[0]], listen="127.0.0.51:0")
    hosts.write({"127.0.0.51": "keys.example.test"})
    edge = start_edge(site, hosts, [("keys.example.test:" + port_of(server), server.identity.public)], pki, origin.address)
    edge.wait_ready()
    assert b"from the origin" in fetch(edge, pki)
    assert server.stop() == 0
    edge.wait_log(r"event=key_server_lost")
    hosts.write({"127.0.0.52": "keys.example.test"})
    with open(server.config) as file:
        text = file.read()
    with open(server.config, "w") as file:
        file.write(text.replace("127.0.0.51:0", "127.0.0.52:" + port_of(server)))
    site.daemons.remove(server)
    site.restart_server(server.folder, server.identity, server.config)
    assert b"from the origin" in fetch(edge, pki)
    edge.wait_log(r"event=key_server_connected .*address=127.0.0.52:")


def test_names_are_followed_after_the_process_that_looks_them_up_has_died(site, pki, origin, hosts):
    servers = [site.start_server([pki.p256[0]], listen="127.0.0.5%d:0" % i) for i in (1, 2)]
    hosts.write({"127.0.0.51": "keys1.example.test"})
    pairs = [("keys%d.example.test:%s" % (i + 1, port_of(server)), server.identity.public) for i, server in enumerate(servers)]
    edge = start_edge(site, hosts, pairs, pki, origin.address)
    edge.wait_ready()
    edge.wait_log(r"event=name_failed name=keys2.example.test")
    keeper = edge.children()["keyless-restart"]
    for number in (1, 2):
        process = wait_until(lambda: edge.children(keeper).get("keyless-names"), "the process that looks names up")
        os.kill(process, signal.SIGKILL)
        edge.admin.wait_metric("keyless_edge_resolver_restarts_total", number)
    edge.wait_log(r'event=resolver_restarted error="the process that looks names up has died: signal 9" hint=')
    hosts.write({"127.0.0.51": "keys1.example.test", "127.0.0.52": "keys2.example.test"})
    edge.wait_log(r"event=key_server_connected server=ks2 address=127.0.0.52:")
    edge.wait_log(r"event=name_found name=keys2.example.test")
    assert not edge.find("event=resolver_gone")


def test_the_other_address_of_a_name_is_tried(site, pki, origin, hosts):
    server = site.start_server([pki.p256[0]], listen="127.0.0.1:0")
    hosts.write({"127.0.0.77": "keys.example.test", "127.0.0.1": "keys.example.test"})
    edge = start_edge(site, hosts, [("keys.example.test:" + port_of(server), server.identity.public)], pki, origin.address)
    edge.wait_ready()
    assert b"from the origin" in fetch(edge, pki)


def test_an_edge_starts_although_a_name_cannot_be_found(site, pki, origin, hosts):
    """It serves with the key server that it knows, says so, and finds the other when its name is there."""
    servers = [site.start_server([pki.p256[0]]) for _ in range(2)]
    pairs = [(servers[0].address, servers[0].identity.public),
             ("keys2.example.test:" + port_of(servers[1]), servers[1].identity.public)]
    edge = start_edge(site, hosts, pairs, pki, origin.address)
    edge.wait_ready()
    edge.wait_log(r"event=name_failed name=keys2.example.test")
    assert b"from the origin" in fetch(edge, pki)
    second = edge.admin.status()["key_servers"][1]
    assert second["state"] == "disconnected" and second["addresses"] == [] and "keys2.example.test" in second["name_error"]
    hosts.write({"127.0.0.1": "keys2.example.test"})
    wait_until(lambda: edge.admin.status()["key_servers"][1]["state"] == "connected", "the second key server")
    edge.wait_log(r"event=name_found name=keys2.example.test")


def test_a_name_that_cannot_be_found_is_a_warning_of_the_test(site, pki, origin):
    server = site.start_server([pki.p256[0]])
    config = site.edge_config([("no-such-host.invalid", server.identity.public)], [pki.p256[1]], origin.address)
    done = subprocess.run([program("keyless-edge"), "-t", "-c", config], capture_output=True, text=True)
    assert done.returncode == 0 and "OK" in done.stdout
    assert "event=name_failed" in done.stderr and "no-such-host.invalid" in done.stderr
    done = keyless("check", "--edge", config, check=False)
    said = [line for line in done.stdout.splitlines() if "no-such-host.invalid" in line]
    assert said and all(line.startswith("warning") for line in said), done


def test_the_origins_name_moves(site, pki, origin, hosts):
    server = site.start_server([pki.p256[0]])
    hosts.write({"127.0.0.77": "origin.example.test", "127.0.0.1": "origin.example.test"})
    port = origin.address.rsplit(":", 1)[1]
    edge = start_edge(site, hosts, [(server.address, server.identity.public)], pki, "origin.example.test:" + port)
    edge.wait_ready()
    assert b"from the origin" in fetch(edge, pki)  # behind the dead address
    hosts.write({"127.0.0.77": "origin.example.test"})

    def gone():
        try:
            return b"from the origin" not in fetch(edge, pki)
        except OSError:
            return True
    wait_until(gone, "the origin's new address to be used")
    edge.wait_log(r"event=origin_failed .*error=\"Connection refused\"")
