"""What the command is given to read: a FIFO, a pipe, a device, and what has no end."""
import os
import re
import resource
import subprocess

import pytest

from command import mode, run
from daemon import program
from fleet import write


@pytest.mark.parametrize("side, file", [
    ("server", "server.conf"), ("server", "authorized_edges"), ("server", "identity.key"), ("server", "group.secret"),
    ("server", "keys/rsa.pem"), ("edge", "edge.conf"), ("edge", "identity.key"), ("edge", "psk"), ("edge", "certs/rsa.pem")])
def test_a_fifo_in_place_of_a_file_is_refused_and_not_waited_for(trial, side, file):
    configuration, path = os.path.join(trial.top, side, side + ".conf"), os.path.join(trial.top, side, file)
    mode = os.stat(path).st_mode & 0o777
    os.remove(path)
    os.mkfifo(path, mode)
    for command in ([program("keyless"), "check", "--" + side, configuration], [program("keyless-" + side), "-t", "-c", configuration]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == (1 if command[1] == "check" and not file.endswith(".conf") else 2), (command, done)
        assert "it is a FIFO, not a regular file" in done.stdout + done.stderr, (command, done)


GIGANTIC = 1 << 40  # bytes of a sparse file, which takes no room; minutes of reading


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make_gigantic(path):
    mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o600
    try:
        os.truncate(write(path, "", mode), GIGANTIC)
    except OSError as error:
        pytest.skip("no file can be as large here: %s" % error)


@pytest.mark.parametrize("side, file", [
    ("server", "server.conf"), ("server", "authorized_edges"), ("server", "identity.key"), ("server", "group.secret"), ("server", "audit.key"),
    ("server", "keys/rsa.pem"), ("edge", "edge.conf"), ("edge", "identity.key"), ("edge", "psk"), ("edge", "certs/rsa.pem")])
def test_a_gigantic_file_is_refused_and_not_read(trial, side, file):
    """By the start, too, which looks into its configuration for the form of the line that refuses it."""
    configuration = os.path.join(trial.top, side, side + ".conf")
    make_gigantic(os.path.join(trial.top, side, file))
    start = [[program("keyless-" + side)]] if "/" not in file else []  # which goes on without one of many keys or certificates
    for command in ([program("keyless-" + side), "-t"], [program("keyless"), "check", "--" + side], *start):
        before = processor_seconds()
        done = subprocess.run([*command, *([] if "check" in command else ["-c"]), configuration], capture_output=True, text=True, timeout=60)
        assert done.returncode in (1, 2) and "larger than " in done.stdout + done.stderr, (command, done)
        assert processor_seconds() - before < 10, command


@pytest.mark.parametrize("options", [("--ca", "big"), ("--local-key", "big", "--local-cert", "big")])
def test_trace_reads_no_gigantic_file(tmp_path, options):
    make_gigantic(tmp_path / "big")
    done = subprocess.run([program("keyless"), "trace", "https://127.0.0.1:1/", *options], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2 and "big: larger than 16 MiB" in done.stderr, done


def test_a_configuration_may_come_through_a_pipe(trial):
    """As a shell gives it: keyless-server -t -c <(command)."""
    for command in ([program("keyless-server"), "-t", "-c"], [program("keyless"), "check", "--server"]):
        done = subprocess.run(["bash", "-c", 'file=$1; shift; exec "$@" <(cat "$file")', "bash", trial.server_conf, *command],
                              capture_output=True, text=True, timeout=60)
        # It was read: what it names is looked for beside it.
        assert re.search(r"/fd/identity.key: no such file", done.stdout + done.stderr), done
        assert not re.search(r"/dev/fd/\d+: cannot be read", done.stdout + done.stderr), done


def assert_reads_little(*command):
    """It ends although what it is given does not."""
    most, given = 32 << 20, 0
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while given < most:
            given += reader.stdin.write(bytes(1 << 16))
    except BrokenPipeError:
        pass
    finally:
        if given >= most:
            reader.kill()
        out, err = reader.stdout.read().decode(), reader.stderr.read().decode()
        reader.wait()
    assert given < most, "it reads on"
    return reader.returncode, out, err


@pytest.mark.parametrize("verb", ["verify", "tail"])
def test_audit_does_not_read_without_end(verb):
    """A device, or a line that does not end."""
    done = run("audit", verb, "/dev/zero")
    assert done.returncode == 2 and "/dev/zero: cannot be read: it is a device, not a regular file" in done.stderr
    code, out, err = assert_reads_little(program("keyless"), "audit", verb, "/dev/stdin")
    assert code == (1 if verb == "verify" else 2), out + err
    assert {"verify": "/dev/stdin:1: this is no record", "tail": "it is a FIFO, not a regular file"}[verb] in out + err


def test_check_does_not_read_without_end():
    """Whatever a configuration turns out to be: no more is taken of it than one may have, each time that it is looked at."""
    code, _, err = assert_reads_little(program("keyless"), "check", "-c", "/dev/stdin")
    assert code == 2 and "/dev/stdin: of which daemon is it?" in err, err
