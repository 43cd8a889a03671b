"""The command: how it ends, and that every complaint says what would mend it."""
import os
import re
import subprocess

import pytest

from command import read, replace, run
from daemon import PATIENCE, program
from fleet import keyless, write


def test_version_and_help():
    assert re.match(r"keyless \d+\.\d+\.\d+\n", keyless("--version").stdout)
    text = keyless("help").stdout
    verbs = ["init", "genkey", "pubkey", "check", "status", "ping", "keys", "bench", "trace", "audit"]
    assert [line.split()[0] for line in text.splitlines() if line.startswith("  ")] == verbs
    for verb in verbs:
        assert keyless("help", verb).stdout == keyless(verb, "--help").stdout
        assert keyless(verb, "--help").stdout.startswith("usage: keyless %s" % verb)


@pytest.mark.parametrize("arguments, said", [
    ((), "usage: keyless VERB"),
    (("frobnicate",), "there is no verb 'frobnicate'"),
    (("chekc",), "there is no verb 'chekc'; did you mean 'check'?"),
    (("help", "statsu"), "did you mean 'status'?"),
    (("bench", "--secnds", "1"), "there is no option --secnds; did you mean --seconds?"),
    (("check", "-c"), "-c needs a value"),
    (("check", "--frobnicate"), "frobnicate"),
    (("check", "server.conf"), "-c FILE"),
    (("check", "--from", "192.0.2.1"), "belong to --explain"),
    (("check", "--explain", "a", "b"), "three words: EDGE KEY OPERATION"),
    (("check", "--explain", "a", "b", "c", "--edge", "edge.conf"), "name one server.conf"),
    (("check", "-c", "/nonexistent/edge.conf"), "/nonexistent/edge.conf: cannot be read: No such file"),
    (("check", *["-c", "x"] * 17), "more than 16 files"),
    (("status", "--frobnicate"), "frobnicate"),
    (("status", "nonsense"), "nonsense"),
    (("genkey", "a", "b"), "one file at most"),
    (("pubkey", "a", "b"), "a secret is never an argument"),
    (("pubkey", "/nonexistent/identity.key"), "mkdir -p /nonexistent"),
    (("init",), "name one folder"),
    (("init", "--server", "--edge", "x"), "halves"),
    (("init", "--edge", "x"), "--key-server ADDRESS and --server-key KEY"),
    (("init", "--edge", "--key-server", "h", "--server-key", "abc", "x"), "keyless pubkey identity.key"),
    (("init", "--origin", "127.0.0.1,8080", "x"), "--origin 127.0.0.1,8080: '127.0.0.1,8080' is neither an address nor a host name"),
    (("init", "--edge", "--key-server", "127.0.0,1:2407", "--server-key", "A" * 42 + "8=", "x"), "--key-server 127.0.0,1:2407: "),
    (("init", "--server", "--server-listen", "0.0.0.0:24O7", "x"), "'24O7' is not a port"),
    (("init", "--key", "k", "x"), "both --key and --cert"),
    (("init", "--host", "a,b", "x"), "not a host name"),
    (("ping", "-n", "0"), "from 1 to 100000"),
    (("ping", "-c", "/nonexistent/edge.conf"), "/nonexistent/edge.conf"),
    (("keys", "-c", "/nonexistent/edge.conf"), "/nonexistent/edge.conf"),
    (("bench", "-c", "/nonexistent/edge.conf"), "/nonexistent/edge.conf"),
    (("bench", "--frobnicate"), "frobnicate"),
    (("bench", "--op", "keys"), "sign_tls13, sign_tls12, rsa_master, rsa_premaster"),
    (("bench", "--key", "rsa1024"), "rsa2048, rsa3072, rsa4096, p256"),
    (("bench", "--in-flight", "1,0"), "from 1 to 65536, such as 1,8,64"),
    (("bench", "--channels", "65"), "from 1 to 64"),
    (("bench", "--seconds", "0"), "from 0.01 to 3600"),
    (("bench", "--warm-up", "-1"), "from 0 to 3600"),
    (("bench", "--name", "a" * 254), "a host name"),
    (("bench", *["-c", "x"] * 17), "more than 16 edges"),
    (("bench", "one", "two"), "one SERVER at most"),
])
def test_wrong_use_ends_with_2_and_says_what_is_right(arguments, said):
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and not done.stdout


@pytest.mark.parametrize("name", ["server.conf", "my-keys.conf"])
def test_a_mend_names_the_configuration_that_there_is(trial, name):
    """Whatever it is called."""
    conf = os.path.join(trial.server, name)
    os.rename(trial.server_conf, conf)
    replace(trial.server + "/authorized_edges", "rsa_master", "rsa_premaster")
    said = keyless("check", "--server", conf).stdout
    assert re.search("list plain in modes of a key in " + re.escape(conf) + "$", said, re.M), said


def test_a_configuration_of_the_other_daemon_is_named_as_that(trial):
    for text in ("", 'key_default { modes = {"neither"} }\n'):
        write(trial.server_conf, read(trial.server_conf) + text)
        for verb in ("ping", "keys"):
            done = run(verb, "-c", trial.server_conf)
            assert done.returncode == 2 and re.search(r"server.conf:\d+: this is a key server's configuration: .*; name that of an edge here", done.stderr)
    for daemon, conf, whose, other in (("keyless-edge", trial.server_conf, "a key server", "an edge"),
                                       ("keyless-server", trial.edge_conf, "an edge", "a key server")):
        for option in ("-t", "-T"):
            done = subprocess.run([program(daemon), option, "-c", conf], capture_output=True, text=True, timeout=PATIENCE)
            assert done.returncode == 2 and re.search(
                r"%s:\d+: this is %s's configuration: .*; name that of %s here" % (conf, whose, other), done.stderr), done.stderr
    done = run("check", "--explain", "edge1", "rsa", "sign_tls13", "-c", trial.edge_conf)
    assert done.returncode == 2 and re.search(r"edge.conf:\d+: this is an edge's configuration: .*; name that of a key server here", done.stderr)
