"""Output that is lost, on a full disk, without standard output or on a pipe that nobody reads, is said."""
import base64
import os
import subprocess

import pytest

from command import admin
from daemon import program
from fleet import keyless


def without_output(command, **options):
    """How COMMAND ends that is started with standard output closed."""
    return subprocess.run(["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True,
                          timeout=60, **options)


def ends_of_lost_output(command, **options):
    """How COMMAND ends on a disk that is full, without standard output, and when who reads from a pipe has had
    enough."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, **options)
    yield done
    yield without_output(command, **options)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, **options)
    os.close(writing)
    yield done


def assert_lost_output_is_said(command, **options):
    full, closed, pipe = ends_of_lost_output(command, **options)
    for done, why in (full, "disk is full"), (closed, "is closed"):
        assert done.returncode == 1, (done.returncode, done.stderr)
        assert done.stderr.count("standard output cannot be written") == 1 and why in done.stderr, done.stderr
    assert pipe.returncode == 0 and "standard output" not in pipe.stderr, (pipe.returncode, pipe.stderr)


@pytest.mark.parametrize("words", [("help",), ("--version",), ("help", "check"), ("check", "-c"), ("ping", "--help"),
                                   ("audit", "tail", "--help")], ids=" ".join)
def test_output_that_is_lost_is_said(site, pki, words):
    """On a disk that is full. Who reads from a pipe and has had enough is no error."""
    command = [program("keyless"), *words]
    if words[-1] == "-c":
        command.append(site.server_folder([pki.p256[0]])[1])
    assert_lost_output_is_said(command)


def test_output_of_pubkey_that_is_lost_is_said():
    secret = base64.b64encode(bytes(range(32))).decode() + "\n"
    assert_lost_output_is_said([program("keyless"), "pubkey"], input=secret)


def test_a_secret_that_is_lost_is_said_once_and_even_on_a_pipe():
    for done in ends_of_lost_output([program("keyless"), "genkey"]):
        assert done.returncode == 1, (done.returncode, done.stderr)
        assert done.stderr.count("standard output cannot be written") == 1, done.stderr


@pytest.mark.parametrize("words, made", [(("genkey", "--json", "FILE"), False), (("genkey", "FILE"), True),
                                         (("init", "FILE"), False)], ids=str)
def test_a_secret_is_made_only_by_a_command_that_can_say_what_it_has_to_say(tmp_path, words, made):
    path = tmp_path / "made"
    done = without_output([program("keyless"), *(str(path) if word == "FILE" else word for word in words)])
    assert done.returncode == (0 if made else 1), (done.returncode, done.stderr)
    assert ("standard output cannot be written" in done.stderr) != made, done.stderr
    assert path.exists() == made
    if made:
        assert len(base64.b64decode(path.read_bytes())) == 32, "nothing else is written into it"


@pytest.mark.parametrize("words", [("audit", "verify"), ("audit", "tail")], ids=" ".join)
def test_output_about_a_log_that_is_lost_is_said(written_log, words):
    assert_lost_output_is_said([program("keyless"), *words, written_log.folder])


def test_output_about_daemons_that_is_lost_is_said(shared):
    assert_lost_output_is_said([program("keyless"), "status", admin(shared.server), admin(shared.edge)])
    for words in ("ping", "-n", "2"), ("keys",):
        assert_lost_output_is_said([program("keyless"), *words, "-c", shared.edge.command[-1]])


@pytest.mark.parametrize("daemon", ["server", "edge"])
@pytest.mark.parametrize("mode", ["-T", "-t", "-V", "-h"])
def test_output_of_a_daemon_that_is_lost_is_said(tmp_path, daemon, mode):
    keyless("init", str(tmp_path / "trial"))
    command = [program("keyless-" + daemon), "-c", str(tmp_path / "trial" / daemon / (daemon + ".conf")), mode]
    assert_lost_output_is_said(command)
