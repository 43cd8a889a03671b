"""The commands that `keyless init`, `keyless check` and `-t` print work as they stand, whatever is in the name of the folder: a
shell runs them here."""
import os
import re
import shlex
import shutil
import subprocess

import pytest

from command import read, run
from daemon import program
from fleet import keyless, write
from pki import openssl

NAME = "it's a $(place)"
# A command, with what a person does besides: "and take this file away".
COMMAND = re.compile(r"(?:run|make it with): (.+?)(, and take this file away|, or take it away|, or chgrp it)?$", re.M)
ROUNDS = 3  # that a mistake takes at most: a mended one may show another


def shell(command):
    path = os.path.dirname(program("keyless")) + os.pathsep + os.environ["PATH"]
    done = subprocess.run(["sh", "-euc", command], capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": path})
    assert done.returncode == 0, (command, done.stderr)
    return done


def daemon_test(conf):
    name = "keyless-server" if conf.endswith("server.conf") else "keyless-edge"
    return subprocess.run([program(name), "-t", "-c", conf], capture_output=True, text=True, timeout=60)


class Place:
    def __init__(self, top):
        self.top, self.said = str(top), keyless("init", top).stdout
        self.server, self.edge = os.path.join(self.top, "server"), os.path.join(self.top, "edge")
        self.confs = {"server": self.server + "/server.conf", "edge": self.edge + "/edge.conf"}
        for conf in self.confs.values():
            write(conf, re.sub(r"listen = .*", 'listen = {"127.0.0.1:0"}', read(conf)))


@pytest.fixture
def place(tmp_path):
    (tmp_path / "it").mkdir()
    return Place(tmp_path / NAME)


def test_what_init_says_to_do_next(place):
    commands = re.findall(r"^  (keyless-\w+ -c .*)$", place.said, re.M)
    assert [shlex.split(command)[2] for command in commands] == list(place.confs.values())
    for command in commands:
        shell(command + " -t")
    for command, conf in zip(commands, place.confs.values()):
        assert read(conf).startswith("# %s\n" % command)


def test_what_the_halves_say_to_do_next(tmp_path, pki):
    (tmp_path / NAME).mkdir()
    server, edge = tmp_path / NAME / "server", tmp_path / NAME / "edge"
    said = keyless("init", "--user", "nobody", "--server", "--key", pki.rsa[0], "--server-listen", "127.0.0.1:2407", server).stdout
    assert shlex.split(re.findall(r"^  (keyless-server -c .*)$", said, re.M)[0])[2] == str(server / "server.conf")
    key = keyless("pubkey", server / "identity.key").stdout.strip()
    said = keyless("init", "--user", "nobody", "--edge", "--key-server", "127.0.0.1:2407", "--server-key", key, "--cert", pki.rsa[1], edge).stdout
    assert shlex.split(re.findall(r"^  (keyless-edge -c .*)$", said, re.M)[0])[2] == str(edge / "edge.conf")


# ---- mistakes: the file or folder of each, and the daemon that it is about ----

def open_keys(place):
    os.chmod(place.server + "/keys", 0o777)
    return place.server + "/keys"


def open_identity(place):
    os.chmod(place.server + "/identity.key", 0o644)
    return place.server + "/identity.key"


def no_identity(place):
    os.remove(place.edge + "/identity.key")
    return place.edge + "/identity.key"


def explicit_curve(place):
    path = place.server + "/keys/explicit.pem"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-param_enc", "explicit", "-noout", "-out", path)
    return path


def taken(path):
    """Its text; the file goes, since no key may be there twice."""
    text = read(path)
    os.remove(path)
    return text


def two_keys(place):
    path = place.server + "/keys/two.pem"
    write(path, taken(place.server + "/keys/rsa.pem") + taken(place.server + "/keys/p256.pem"), 0o400)
    return path


def wide_text(place):
    path = place.server + "/keys/wide.pem"
    with open(path, "wb") as handle:
        handle.write(taken(place.server + "/keys/rsa.pem").encode("utf-16"))
    os.chmod(path, 0o400)
    return path


def other_name(place):
    path = place.server + "/keys/key.txt"
    os.rename(place.server + "/keys/rsa.pem", path)
    return path


def certificate_in_der(place):
    pem = next(name for name in sorted(os.listdir(place.edge + "/certs")) if name.endswith(".pem"))
    path = place.edge + "/certs/chain.crt"
    openssl("x509", "-in", os.path.join(place.edge, "certs", pem), "-outform", "der", "-out", path)
    return path


def foreign_audit(place):
    path = place.server + "/audit"
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path, 0o700)
    os.chown(path, 4321, 4321)
    return path


def plain(line):
    """A line of the log as who reads its values sees it."""
    return re.sub(r'\\([\\"])', r"\1", line[:-1]) if "event=" in line and line.endswith('"') else line


def mend(said, path):
    """Does what the complaint about PATH says."""
    line = next((line for line in map(plain, said.splitlines()) if path + ":" in line and COMMAND.search(line)), None)
    assert line is not None, said
    command, besides = COMMAND.search(line).groups()
    assert path in " ".join(shlex.split(command)), command
    shell(command)
    if besides == ", and take this file away":
        os.remove(path)


@pytest.mark.parametrize("mistake", [open_keys, open_identity, no_identity, explicit_curve, two_keys, wide_text, other_name,
                                     certificate_in_der])
def test_what_check_says_mends_it(place, mistake):
    path = mistake(place)
    conf = place.confs["server" if path.startswith(place.server) else "edge"]
    for _ in range(ROUNDS):
        said = run("check", "-c", conf).stdout
        if not any(path + ":" in line for line in re.findall(r"^(?:error|warning) .*", said, re.M)):
            break
        mend(said, path)
    assert not [line for line in re.findall(r"^(?:error|warning) .*", said, re.M) if path + ":" in line]
    assert daemon_test(conf).returncode == 0


@pytest.mark.parametrize("mistake", [open_keys, open_identity, no_identity, foreign_audit])
def test_what_a_test_says_mends_it(place, mistake):
    """Complaints on a line of their own; nothing beside the folder is touched, though its name begins alike."""
    if mistake is foreign_audit and os.geteuid() != 0:
        pytest.skip("only root gives folders away")
    path = mistake(place)
    conf = place.confs["server" if path.startswith(place.server) else "edge"]
    beside = os.path.join(os.path.dirname(place.top), "it")
    before = os.stat(beside)
    for _ in range(ROUNDS):
        tested = daemon_test(conf)
        if tested.returncode == 0:
            break
        mend(tested.stderr, path)
    assert tested.returncode == 0, tested.stderr
    assert os.stat(beside) == before
