"""Where keys are and where they are not: searched for in files, memory and core images; who has which sockets."""
import os
import re
import subprocess

import pytest

import clients
import keysearch
from daemon import Daemon, wait_until
from pki import openssl

KINDS = ["rsa", "p256", "p384", "ed25519"]


def may_look(pid):
    try:
        with open("/proc/%d/mem" % pid, "rb"):
            return True
    except PermissionError:
        return False


@pytest.fixture
def used(shared, pki):
    """The shared site after every key has been used."""
    for host, options in (("rsa", ["-tls1_2", "-cipher", "AES128-GCM-SHA256"]), ("rsa", ["-tls1_3"]), ("p256", ["-tls1_3"]),
                          ("p384", ["-tls1_3"]), ("ed25519", ["-tls1_3"])):
        ok, text = clients.s_client(shared.edge, host + ".test", pki.ca, *options)
        assert ok, text
    if not may_look(shared.edge.pid):
        pytest.skip("needs root (or CAP_SYS_PTRACE) to read another process's memory")
    return shared


def secrets(pki, kind):
    return {name: s for name, s in keysearch.secrets_of(getattr(pki, kind)[0]).items() if name != "PEM text"}


def child(server, part):
    return next(pid for name, pid in server.children().items() if part in name)


@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_the_edge_holds_no_key(used, pki, kind):
    assert keysearch.in_process(used.edge.pid, secrets(pki, kind)) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_the_net_process_and_the_supervisor_holds_no_key(used, pki, kind):
    assert keysearch.in_process(child(used.server, "net"), secrets(pki, kind)) == set()
    assert keysearch.in_process(used.server.pid, secrets(pki, kind)) == set()


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384"])
def test_the_search_finds_a_key_where_there_is_one(pki, kind):
    """The positive control: an ordinary server with the key."""
    key, cert = getattr(pki, kind)
    control = Daemon(["openssl", "s_server", "-accept", "127.0.0.1:0", "-key", key, "-cert", cert, "-quiet"])
    try:
        wait_until(lambda: keysearch.in_process(control.pid, secrets(pki, kind)), "the key's numbers in its memory")
    finally:
        control.kill()


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_the_edge_hold_no_key(used, pki, kind):
    numbers = keysearch.secrets_of(getattr(pki, kind)[0])
    folder = os.path.dirname(used.edge.command[2])
    assert keysearch.in_folder(folder, numbers) == set()
    assert keysearch.in_folder(used.server.folder, numbers) != set()


def test_a_core_of_the_edge_holds_no_key(used, pki, tmp_path):
    """The control: the public halves of the same keys are found in it."""
    if not clients.have("gcore"):
        pytest.skip("gcore (package gdb) is missing")
    if os.environ.get("SAN"):
        pytest.skip("a core with a sanitizer's shadow of the address space in it would fill the disk")
    done = subprocess.run(["gcore", "-o", str(tmp_path / "core"), str(used.edge.pid)], capture_output=True, text=True)
    assert os.listdir(tmp_path) == ["core.%d" % used.edge.pid], done.stderr
    for kind in KINDS:
        key = getattr(pki, kind)[0]
        public = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")[-32:]
        assert keysearch.in_folder(str(tmp_path), {"public key": [public]}) == {"public key"}
        assert keysearch.in_folder(str(tmp_path), secrets(pki, kind)) == set()


def sockets_of(pid):
    """The kinds of sockets that PID holds: 'tcp', 'udp', 'unix'…"""
    inodes = set()
    for name in os.listdir("/proc/%d/fd" % pid):
        try:
            found = re.match(r"socket:\[(\d+)\]", os.readlink("/proc/%d/fd/%s" % (pid, name)))
        except OSError:
            continue
        if found:
            inodes.add(found.group(1))
    kinds = {}
    for kind in ("tcp", "tcp6", "udp", "udp6", "unix"):
        with open("/proc/%d/net/%s" % (pid, kind)) as handle:
            text = handle.read().split()
        for inode in inodes:
            if inode in text:
                kinds[inode] = kind
    assert set(kinds) == inodes
    return set(kinds.values())


def test_the_vault_has_no_network_socket(used):
    assert sockets_of(child(used.server, "vault")) <= {"unix"}
    assert "tcp" in sockets_of(child(used.server, "net"))


def test_daemons_cannot_be_dumped_and_gain_no_privileges(used):
    for pid in [used.edge.pid, used.server.pid, child(used.server, "net"), child(used.server, "vault")]:
        with open("/proc/%d/status" % pid) as handle:
            assert re.search(r"NoNewPrivs:\s+1", handle.read()), pid
        with open("/proc/%d/limits" % pid) as handle:
            assert re.search(r"Max core file size\s+0\s+0", handle.read()), pid


def test_an_edge_refuses_a_private_key_in_its_certificates(site, pki, origin, tmp_path):
    both = tmp_path / "both.pem"
    with open(pki.rsa[0]) as key, open(pki.rsa[1]) as cert:
        both.write_text(cert.read() + key.read())
    both.chmod(0o600)
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([server], [pki.p256[1], str(both)], origin.address)
    edge.wait_log(r"both\.pem.*private key")
    ok, text = clients.s_client(edge, "rsa.test", pki.ca)
    assert not ok
