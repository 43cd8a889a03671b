"""`keyless init` takes no value that the daemons refuse: it says so by its option, and leaves nothing."""
import os
import re
import subprocess

import pytest

from command import run
from daemon import program
from fleet import keyless, write

TRIAL = {  # what is given, and what is said of it
    "user that is a number": (["--user", "0"], r"--user: user 0: no such user; run: useradd"),
    "user that is not there": (["--user", "nobody-at-all"], r"--user: user nobody-at-all: no such user"),
    "user with a line end": (["--user", "no\nbody"], r"--user has a tab, line end"),
    "server-listen without an address": (["--server-listen", "no-such-host.invalid"], r"--server-listen no-such-host.invalid: cannot find the address"),
    "server-listen at any port": (["--server-listen", "127.0.0.1:0"], r"--server-listen 127.0.0.1:0: nobody listens at port 0"),
    "server-listen elsewhere": (["--server-listen", "192.0.2.1:2407"], r"--server-listen 192.0.2.1:2407: not an address of this machine"),
    "edge-listen elsewhere": (["--edge-listen", "192.0.2.1:443"], r"--edge-listen 192.0.2.1:443: not an address of this machine"),
    "edge-listen in no folder": (["--edge-listen", "unix:/nowhere/at/all.sock"], r"--edge-listen unix:\S+: there is no folder /nowhere/at"),
    "edge-listen that is the key server's": (["--edge-listen", "127.0.0.1:2407"],
                                             r"--server-listen: the address 127.0.0.1:2407 is an address of --edge-listen \(127.0.0.1:2407\)"),
    "origin that is the edge": (["--origin", "127.0.0.1:8443"], r"--origin: the address 127.0.0.1:8443 is an address of --edge-listen"),
    "origin that is the edge's default": (["--edge-listen", "0.0.0.0:8080"], r"--origin: the address 127.0.0.1:8080 is an address of --edge-listen"),
    "origin at no port": (["--origin", "127.0.0.1:0"], r"--origin 127.0.0.1:0: nobody listens at port 0"),
    "host with a line end": (["--host", "a\nb"], r"--host has a tab, line end"),
    "host that is a pattern": (["--host", "*.x.test"], r"--host '\*.x.test' is not a host name"),
    "host that is none": (["--host", ""], r"--host '' is not a host name"),
    "host in another script": (["--host", "\u00fc.test"], r"--host '\S+' is not a host name; .*xn--"),
    "host that fits no certificate": (["--host", "x" * 63 + ".test"], r"--host '\S+' is longer than 64 bytes"),
}


def assert_refused(arguments, said, folder):
    done = run("init", *arguments, folder)
    assert done.returncode in (1, 2) and re.search(said, done.stderr), done.stderr
    assert not done.stdout and not os.path.lexists(folder)


@pytest.mark.parametrize("value", sorted(TRIAL))
def test_a_value_that_a_daemon_refuses(tmp_path, value):
    arguments, said = TRIAL[value]
    assert_refused(arguments, said, tmp_path / "made")


def test_an_edge_that_would_be_its_own_key_server(tmp_path):
    half = ["--user", "nobody", "--edge", "--server-key", "A" * 42 + "8="]
    assert_refused(half + ["--key-server", "127.0.0.1:443"],
                   r"--key-server: the address 127.0.0.1:443 is an address of --edge-listen \(0.0.0.0:443\)", tmp_path / "made")
    assert_refused(half + ["--key-server", "192.0.2.1:0"], r"--key-server 192.0.2.1:0: nobody listens at port 0", tmp_path / "made")


def test_what_only_the_configuration_shows(tmp_path):
    """No option says where status is read."""
    assert_refused(["--user", "nobody", "--server", "--server-listen", "0.0.0.0:2406"], r"admin 127.0.0.1:2406 is an address of listen",
                   tmp_path / "made")


def test_a_key_of_another_certificate(tmp_path, pki):
    given = ["--key", pki.rsa[0], "--cert", pki.p256[1]]
    assert_refused(given, r"--cert %s: its private key is in no file of --key" % re.escape(pki.p256[1]), tmp_path / "made")
    keyless("init", *given, "--key", pki.p256[0], tmp_path / "both")
    for side in ("server", "edge"):
        tested = subprocess.run([program("keyless-" + side), "-t", "-c", str(tmp_path / "both" / side / side) + ".conf"],
                                capture_output=True, text=True, timeout=60)
        assert tested.returncode == 0, tested.stderr


def test_a_key_and_a_certificate_from_pipes(tmp_path, pki):
    """What comes through a pipe comes once."""
    command = '"$0" init --key <(cat "$1") --cert <(cat "$2") "$3"'
    done = subprocess.run(["bash", "-c", command, program("keyless"), pki.p256[0], pki.p256[1], str(tmp_path / "made")],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for side in ("server", "edge"):
        tested = subprocess.run([program("keyless-" + side), "-t", "-c", str(tmp_path / "made" / side / side) + ".conf"],
                                capture_output=True, text=True, timeout=60)
        assert tested.returncode == 0, tested.stderr


def test_a_key_that_cannot_be_read_and_two_in_one_file(tmp_path, pki):
    with open(pki.p256[0]) as handle:
        text = handle.read()
    half = ["--user", "nobody", "--server", "--key"]
    damaged = write(tmp_path / "damaged.key", re.sub(r"(BEGIN [A-Z ]+-----\n).", r"\1!", text))
    assert_refused(half + [damaged], r"--key \S+damaged.key: no private key can be read in it", tmp_path / "made")
    two = write(tmp_path / "two.key", text + text)
    assert_refused(half + [two], r"--key \S+two.key: 2 private keys are in it", tmp_path / "made")


def test_a_certificate_that_is_damaged(tmp_path, pki):
    with open(pki.p256[1]) as handle:
        lines = handle.readlines()
    damaged = write(tmp_path / "damaged.pem", "".join(lines[:3] + lines[4:]), 0o644)
    half = ["--user", "nobody", "--edge", "--key-server", "192.0.2.1:2407", "--server-key", "A" * 42 + "8="]
    assert_refused(half + ["--cert", damaged], r"damaged.pem: damaged certificate", tmp_path / "made")
