"""Limits of resources that are too low to start: each daemon says which one, how much it needs, and how to raise it."""
import re
import subprocess

import pytest

import clients
from daemon import program
from fleet import Edge, KeyServer

pytestmark = pytest.mark.skipif(not clients.have("prlimit"), reason="prlimit (package util-linux) is missing")
TOO_FEW = r"the limit of open files is %d, and %s needs (\d+) to start; write LimitNOFILE=\1 or more .*ulimit -n \1\)"
DAEMONS = {"server": "a key server", "edge": r"an edge with \d+ threads?"}


def configs(site, pki, origin, threads=1):
    server = site.start_server([pki.rsa[0]])
    identity, server_conf, folder = site.server_folder([pki.rsa[0]])
    name = origin.address.replace("127.0.0.1", "localhost")  # with a process that looks it up
    edge_conf = site.edge_config([(server.address, server.identity.public)], [pki.rsa[1]], name, threads=threads)
    return {"server": server_conf, "edge": edge_conf, "files of server": (folder, identity)}


def limited(kind, value):
    return ["prlimit", "--%s=%d:%d" % (kind, value, value)]


def refused(side, conf, kind, value):
    done = subprocess.run(limited(kind, value) + [program("keyless-" + side), "-c", conf], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode in (1, 2), (done.returncode, done.stderr)
    return done.stderr


@pytest.mark.parametrize("side, threads", [("edge", 1), ("edge", 4), ("server", 1)])
def test_too_few_descriptors_are_said_and_the_least_are_enough(site, pki, origin, side, threads):
    """What is said to be needed is: with one less it is refused, and with so many it serves."""
    made = configs(site, pki, origin, threads)
    conf = made[side]
    for few in (6, 8, 12, 24):
        found = re.search(TOO_FEW % (few, DAEMONS[side]), refused(side, conf, "nofile", few))
        assert found
        least = int(found.group(1))
    assert re.search(TOO_FEW % (least - 1, DAEMONS[side]), refused(side, conf, "nofile", least - 1))
    inside = limited("nofile", least)
    if side == "server":
        server = KeyServer(*made["files of server"], conf, inside=inside)
        site.daemons.append(server)
        conf = site.edge_config([(server.address, server.identity.public)], [pki.rsa[1]], origin.address)
    edge = Edge(conf, inside=inside if side == "edge" else ())
    site.daemons.append(edge)
    edge.wait_ready()
    assert b"from the origin" in clients.fetch(edge, "rsa.test", clients.context(pki.ca))


def test_a_limit_of_the_size_of_files_is_named(site, pki, origin):
    """It holds for the memory that the key server's processes share."""
    conf = configs(site, pki, origin)["server"]
    for few, what in ((10, "authorized_edges: cannot be kept in memory"), (1000, "cannot start a process")):
        said = refused("server", conf, "fsize", few)
        assert re.search(what + r": File too large; .*RLIMIT_FSIZE.*LimitFSIZE=infinity.*ulimit -f unlimited", said), said
