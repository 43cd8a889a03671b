"""A key file that goes, or gets another name, while the folder of keys is read: it is as if it had been so from the start."""
import ctypes
import hashlib
import os
import re
import select
import signal
import time

import pytest

from command import read
from daemon import PATIENCE, Daemon, program
from fleet import write
from pki import openssl

PHRASE = "correct horse"
LONG = 1  # seconds that the slow key takes, about
IN_CLOSE_NOWRITE, EVENT = 0x10, 16  # inotify(7): the file was read; bytes of an event without a name


def iterations():
    """Of PBKDF2, which take a core here as long as LONG."""
    probe, begun = 100000, time.process_time()
    hashlib.pbkdf2_hmac("sha256", b"x", b"y" * 16, probe)
    return int(probe * LONG / max(time.process_time() - begun, 1e-4))


class Slow:
    """A folder of keys, of which the first takes long to be read, once its passphrase has been. `last` is read after it."""

    def __init__(self, trial, pki, slow_key):
        self.conf, self.folder = trial.server_conf, os.path.join(trial.server, "keys")
        self.first, self.last, phrase = self.path("0.pem"), self.path("zz.key"), os.path.join(trial.server, "phrase")
        write(self.first, slow_key, 0o400)
        self.text = read(pki.p384[0])
        write(self.last, self.text, 0o400)
        write(phrase, PHRASE + "\n", 0o400)
        write(self.conf, re.sub(r"listen = .*", 'listen = {"127.0.0.1:0"}', read(self.conf)) + 'key 0 { passphrase_file = "phrase" }\n')
        libc = ctypes.CDLL(None, use_errno=True)
        self.watch = libc.inotify_init1(os.O_CLOEXEC)
        assert self.watch >= 0 and libc.inotify_add_watch(self.watch, phrase.encode(), IN_CLOSE_NOWRITE) >= 0, ctypes.get_errno()

    def path(self, name):
        return os.path.join(self.folder, name)

    def is_read(self, seconds):
        """Whether the first key's turn has come, or comes within SECONDS, since this was asked the last time."""
        return bool(select.select([self.watch], [], [], seconds)[0]) and len(os.read(self.watch, EVENT)) == EVENT

    def amid(self):
        assert self.is_read(PATIENCE), "the first key is not read"

    def change(self):
        """Both are to be read again."""
        os.utime(self.first)
        os.utime(self.last)


@pytest.fixture(scope="module")
def slow_key(pki, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("slow") / "key")
    openssl("pkcs8", "-topk8", "-iter", str(iterations()), "-passout", "pass:" + PHRASE, "-in", pki.p256[0], "-out", path)
    return read(path)


@pytest.fixture
def slow(trial, pki, slow_key):
    made = Slow(trial, pki, slow_key)
    yield made
    os.close(made.watch)


def gone(daemon, since=0):
    return daemon.wait_log(r'warn .*event=key_file_gone file=zz\.key error="\S+/zz\.key: has gone since .*" hint=', since)


def test_a_start_and_a_reload_go_on_without_a_key_file_that_goes(slow):
    server = Daemon([program("keyless-server"), "-c", slow.conf])
    try:
        slow.amid()
        os.unlink(slow.last)
        gone(server)
        server.wait_log("event=ready")
        write(slow.last, slow.text, 0o400)
        since = server.mark()
        server.send_signal(signal.SIGHUP)
        server.wait_log("event=reloaded loaded=1 .* removed=0 ", since)
        slow.is_read(0)  # where the change of the first one was too recent
        slow.change()
        since = server.mark()
        server.send_signal(signal.SIGHUP)
        slow.amid()
        os.unlink(slow.last)
        gone(server, since)
        server.wait_log("event=reloaded loaded=1 .* removed=1 ", since)
    finally:
        assert server.stop() == 0
    assert not server.find("key_skipped|key_unusable|reload_failed")


def test_a_reload_serves_a_key_by_the_name_that_its_file_got_meanwhile(slow):
    server = Daemon([program("keyless-server"), "-c", slow.conf])
    try:
        server.wait_log("event=ready")
        slow.amid()
        slow.change()
        time.sleep(0.2)  # a change is relied on as the last one only a moment later
        since = server.mark()
        server.send_signal(signal.SIGHUP)
        slow.amid()
        os.rename(slow.last, slow.path("yy.key"))
        gone(server, since)
        server.wait_log("event=key_loaded key=yy ", since)
        server.wait_log(r"event=reloaded loaded=\d+ .* removed=1 keys=5$", since)
        assert not slow.is_read(0), "the first key was read once more"
    finally:
        assert server.stop() == 0


def test_a_dry_run_agrees(slow):
    tried = Daemon([program("keyless-server"), "-t", "-c", slow.conf])
    slow.amid()
    os.unlink(slow.last)
    gone(tried)
    assert tried.wait_exit() == 0, "\n".join(tried.lines)
