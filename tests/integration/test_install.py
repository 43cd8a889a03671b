"""What an installation leaves on the machine, and what is left of it afterwards."""
import os
import shutil
import stat
import subprocess

import pytest

import small_disk
from daemon import PATIENCE, program

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRATCH = ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")


def make(target, place, umask=0o022):
    """TARGET of the Makefile with what is built, below PLACE."""
    done = subprocess.run(["make", "-C", TOP, "--old-file=all", "BUILD=" + os.path.dirname(program("keyless")), "DESTDIR=" + place, target],
                          capture_output=True, text=True, umask=umask, timeout=10 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


def modes(top):
    """{path below TOP: mode} of folders and files."""
    found = {}
    for path, folders, names in os.walk(top):
        for name in folders + names:
            full = os.path.join(path, name)
            found[os.path.relpath(full, top)] = stat.S_IMODE(os.stat(full).st_mode)
    return found


@pytest.mark.skipif(shutil.which("scdoc") is None, reason="needs scdoc for the manual pages")
def test_an_installation_is_for_everybody_and_can_be_taken_back(tmp_path):
    place = str(tmp_path / "place")
    make("man", place)
    make("install", place, umask=0o077)
    found = modes(place)
    units = {"usr/local/lib/systemd/system/keyless-%s.service" % side for side in ("server", "edge")}
    assert units < set(found)
    wrong = {path: oct(mode) for path, mode in found.items()
             if mode != (0o755 if os.path.isdir(os.path.join(place, path)) or "bin/" in path else 0o644)}
    assert not wrong, wrong
    make("uninstall", place)
    assert not [path for path in modes(place) if not os.path.isdir(os.path.join(place, path))]


@pytest.mark.skipif(os.geteuid() != 0 or small_disk.missing() is not None, reason="needs root, and mounting in a namespace of one's own")
def test_an_init_that_fails_leaves_no_account(tmp_path):
    """With accounts of its own: copies of the system's files, in a mount namespace."""
    etc = str(tmp_path / "etc")
    shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
    for name in SCRATCH:
        path = os.path.join(etc, name)
        if os.path.exists(path):
            with open(path) as handle:
                lines = [line for line in handle if not line.startswith("keyless-")]
            with open(path, "w") as handle:
                handle.writelines(lines)
    script = """mount --bind "$1" /etc && cd "$2" || exit 99
                ! "$3" init --server half > /dev/full || exit 98
                test ! -e half || exit 97
                ! grep -q keyless-server /etc/passwd || exit 96
                "$3" init --server half && grep -q keyless-server /etc/passwd"""
    done = subprocess.run([*small_disk.UNSHARE, "sh", "-c", script, "sh", etc, str(tmp_path), program("keyless")], capture_output=True,
                          text=True, timeout=10 * PATIENCE)
    assert done.returncode == 0 and done.stderr.count("made the system account keyless-server") == 1, (done.returncode, done.stderr)
