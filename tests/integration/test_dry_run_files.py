"""What stands in place of a file or folder that a start opens or makes: `-t`, `keyless check` and the start judge it alike."""
import os
import re
import shutil
import socket
import subprocess

import pytest

from command import read
from daemon import PATIENCE, Daemon, program, wait_until
from fleet import write

ROOT = os.geteuid() == 0
STRANGER = 4321  # neither root nor the user of a daemon


def make_socket(path):
    """By its name alone: the whole path may be longer than the address of a socket."""
    with socket.socket(socket.AF_UNIX) as made:
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            made.bind("/proc/self/fd/%d/%s" % (folder, os.path.basename(path)))
        finally:
            os.close(folder)


def make_of_another(path, moved):
    if os.path.isdir(moved):
        os.mkdir(path, 0o700)
    else:
        write(path, read(moved) if os.path.isfile(moved) else "", 0o600)
    os.chown(path, STRANGER, STRANGER)


ODD = {
    "folder": lambda path, moved: os.mkdir(path, 0o700),
    "FIFO": lambda path, moved: os.mkfifo(path, 0o600),
    "socket": lambda path, moved: make_socket(path),
    "link to a device": lambda path, moved: os.symlink("/dev/null", path),
    "link to itself": lambda path, moved: os.symlink(path, path),
    "link to nowhere": lambda path, moved: os.symlink("/nowhere/at/all", path),
    "another's": make_of_another,
}
FILES = {
    "server": ["server.conf", "identity.key", "authorized_edges", "group.secret", "audit.key", "audit.pub", "audit", "audit/lock", "audit/head",
               "audit/audit-000000000001.jsonl", "keys", "admin.sock", "admin.sock.lock", "listen.sock", "listen.sock.lock"],
    "edge": ["edge.conf", "identity.key", "psk", "certs", "admin.sock", "admin.sock.lock", "listen.sock", "listen.sock.lock"],
}
LAST = {"server": "ready", "edge": "started"}  # what is logged when everything is opened


def judge_start(side, conf):
    """Its output when it fails, or when it is on its way."""
    daemon = Daemon([program("keyless-" + side), "-c", conf])
    try:
        wait_until(lambda: daemon.find("event=" + LAST[side]) or daemon.process.poll() is not None, "an end of the start")
        on_its_way = daemon.process.poll() is None
        assert daemon.stop() == 0 if on_its_way else daemon.wait_exit() in (1, 2), daemon.lines
    finally:
        daemon.kill()
    return on_its_way, "\n".join(daemon.lines)


def judge(side, conf):
    """Whether each of the three finds it good, and what they say."""
    found, said = {}, {}
    for name, command, bad in (("-t", ["keyless-" + side, "-t", "-c", conf], 2), ("check", ["keyless", "check", "--" + side, conf], None)):
        done = subprocess.run([program(command[0]), *command[1:]], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode in ([0, bad] if bad else [0, 1, 2]), done
        found[name], said[name] = done.returncode == 0, done.stdout + done.stderr
    found["start"], said["start"] = judge_start(side, conf)
    return found, said


def is_wrong(file, path, found, said):
    """Of what is in the log's folder the folder is named at least. A log that has lost a file is evidence for `check`, and no fault of a start."""
    named = os.path.dirname(path) if file.startswith("audit/") else path
    alike = found["-t"] == found["start"] and (found["check"] == found["start"] or (file.startswith("audit/audit-") and found["start"]))
    return not alike or not (found["start"] or all(named in text for text in said.values()))


@pytest.fixture(params=FILES)
def ready(request, trial):
    """A side whose daemon has been started before, so that all its files are there."""
    side = request.param
    conf = getattr(trial, side + "_conf")
    folder = os.path.dirname(conf)
    text = re.sub(r"^(listen|admin) = .*\n", "", read(conf), flags=re.M)
    write(conf, 'listen = {"unix:%s/listen.sock"}\nadmin = "unix:%s/admin.sock"\n' % (folder, folder) + text, 0o644)
    found, said = judge(side, conf)
    assert all(found.values()), said
    yield side, conf, folder


def test_a_dry_run_judges_files_as_the_start_does(ready):
    side, conf, folder = ready
    wrong = []
    for file in FILES[side]:
        for oddity, make in ODD.items():
            if oddity == "another's" and not ROOT:
                continue
            path, moved = os.path.join(folder, file), os.path.join(folder, "moved")
            if os.path.lexists(path):
                os.rename(path, moved)
            make(path, moved)
            found, said = judge(side, conf)
            if is_wrong(file, path, found, said):
                wrong.append("%s in place of %s: %s\n%s" % (oddity, file, found, "\n".join(text[-700:] for text in said.values())))
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif os.path.lexists(path):
                os.unlink(path)
            if os.path.lexists(moved):
                os.rename(moved, path)
    assert not wrong, "\n\n".join(wrong)
