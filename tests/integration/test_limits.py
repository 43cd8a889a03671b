"""Limits of resources that are too low to start: each daemon says which one, how much it needs, and how to raise it."""
import errno
import os
import re
import resource
import shutil
import signal
import subprocess

import pytest

import clients
from daemon import program
from fleet import Edge, KeyServer
from test_dry_run import ANOTHER, ROOT, Place, started

pytestmark = pytest.mark.skipif(not clients.have("prlimit"), reason="prlimit (package util-linux) is missing")
TOO_FEW = r"the limit of open files is %d, and %s needs (\d+) to start; write LimitNOFILE=\1 or more .*ulimit -n \1\)"
SHORT_STACK = r"the limit of a stack is %d KiB, and %s needs (\d+) KiB; write LimitSTACK=\1K or more .*ulimit -s \1\)"
DAEMONS = {"server": "a key server", "edge": r"an edge with \d+ threads?"}
unsanitized = pytest.mark.skipif(bool(os.environ.get("SAN")), reason="a sanitizer needs larger stacks than the program")


def configs(site, pki, origin, threads=1):
    server = site.start_server([pki.rsa[0]])
    identity, server_conf, folder = site.server_folder([pki.rsa[0]])
    name = origin.address.replace("127.0.0.1", "localhost")  # with a process that looks it up
    edge_conf = site.edge_config([(server.address, server.identity.public)], [pki.rsa[1]], name, threads=threads)
    return {"server": server_conf, "edge": edge_conf, "files of server": (folder, identity)}


def limited(kind, value):
    return ["prlimit", "--%s=%d:%d" % (kind, value, value)]


def run(side, conf, kind, value, *options):
    return subprocess.run(limited(kind, value) + [program("keyless-" + side), "-c", conf, *options], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)


def refused(side, conf, kind, value, *options):
    done = run(side, conf, kind, value, *options)
    assert done.returncode in (1, 2), (done.returncode, done.stderr)
    return done.stderr


def serves(site, pki, origin, side, made, inside):
    """That the daemon SIDE of what configs() MADE does its work when it is started INSIDE."""
    conf = made[side]
    if side == "server":
        server = KeyServer(*made["files of server"], conf, inside=inside)
        site.daemons.append(server)
        conf = site.edge_config([(server.address, server.identity.public)], [pki.rsa[1]], origin.address)
    edge = Edge(conf, inside=inside if side == "edge" else ())
    site.daemons.append(edge)
    edge.wait_ready()
    assert b"from the origin" in clients.fetch(edge, "rsa.test", clients.context(pki.ca))


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
    serves(site, pki, origin, side, made, limited("nofile", least))


@pytest.mark.parametrize("side", ["edge", "server"])
@unsanitized
def test_a_stack_too_small_is_said_and_the_least_is_enough(site, pki, origin, side):
    """Neither the first thread nor any other dies of it, at whatever depth."""
    made = configs(site, pki, origin, threads=2)
    what = {"server": "a key server", "edge": "an edge"}[side]
    for few in (64, 96, 256):
        for options in ((), ("-t",)):
            found = re.search(SHORT_STACK % (few, what), refused(side, made[side], "stack", few << 10, *options))
            assert found
    serves(site, pki, origin, side, made, limited("stack", int(found.group(1)) << 10))


@pytest.mark.parametrize("side", ["edge", "server"])
@unsanitized
def test_a_soft_limit_of_the_stack_is_raised(site, pki, origin, side):
    serves(site, pki, origin, side, configs(site, pki, origin), ["prlimit", "--stack=65536:8388608"])


def test_a_limit_of_the_size_of_files_is_named(site, pki, origin):
    """It holds for the memory that the key server's processes share."""
    conf = configs(site, pki, origin)["server"]
    for few, what in ((10, "authorized_edges: cannot be kept in memory"), (1000, "cannot start a process")):
        said = refused("server", conf, "fsize", few)
        assert re.search(what + r": File too large; .*RLIMIT_FSIZE.*LimitFSIZE=infinity.*ulimit -f unlimited", said), said


def address_space(pid):
    with open("/proc/%d/statm" % pid) as handle:
        return int(handle.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@unsanitized
@pytest.mark.parametrize("role", ["keyless-loader", "keyless-server"])
def test_a_limit_of_memory_that_a_reload_meets_is_named_with_its_value(site, pki, role):
    """Of the loader, which has no room for a further key, and of the supervisor, which has none for a longer list."""
    server = site.start_server([pki.rsa[0]])
    pid = server.children()["keyless-loader"] if role == "keyless-loader" else server.process.pid
    server.wait_log(r"event=vault_ready")
    with open(server.folder + "/authorized_edges", "a") as handle:
        handle.write("# %s\n" % ("x" * 1000) * 4000)
    limit = address_space(pid)
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    shutil.copy(pki.p256[0], server.folder + "/keys/more.pem")
    os.chmod(server.folder + "/keys/more.pem", 0o400)
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    said = server.wait_log(r"event=reload_failed", since)
    assert re.search(r"raise the limit of memory \(RLIMIT_AS is %d; .*MemoryMax=.*LimitAS=.*ulimit -v\)" % limit, said), server.lines[since:]
    resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log(r"event=vault_ready cause=reload", since)


@unsanitized
def test_a_limit_of_memory_that_a_start_meets_is_named_with_its_value(site, pki, origin):
    conf = configs(site, pki, origin)["server"]
    least = 20 << 20  # the loader has no room for the configuration then, or for what follows it
    said = refused("server", conf, "as", least)
    assert re.search(r"RLIMIT_AS is %d; .*LimitAS=.*ulimit -v" % least, said), said
    # So little that it cannot read its configuration, though the libraries, which differ in size, are there.
    least = next(size << 20 for size in range(8, 20) if run("server", conf, "as", size << 20).returncode != 127)
    said = refused("server", conf, "as", least)
    assert "%s: cannot be read: out of memory; " % conf in said, said


def test_a_limit_of_processes_that_a_reload_meets_is_named():
    """Of an account that is not root's, which has none."""
    place = Place(ANOTHER if ROOT else None)
    try:
        with started(place) as server:
            subprocess.run(["prlimit", "--nproc=1:", "--pid", str(server.children()["keyless-loader"])], check=True, **place.who)
            since = server.mark()
            server.send_signal(signal.SIGHUP)
            said = server.wait_log(r"event=reload_failed", since)
            assert "a vault cannot be forked: %s" % os.strerror(errno.EAGAIN) in said, said
    finally:
        shutil.rmtree(place.top)
        shutil.rmtree(place.programs)
