"""The folder of an audit log belongs to one key server: another one that is told to write there does not start, and changes nothing
in it."""
import os
import re
import signal
import subprocess

import pytest

from daemon import Daemon, program
from fleet import keyless, write
from test_key_server_failures import kill_child
from test_policy import reload


@pytest.fixture
def server(site, pki):
    return site.start_server([pki.p256[0]])


def another(site, pki, server, same_key=False):
    """The configuration of another key server that has the audit folder of SERVER; returns (its path, its folder)."""
    key = "%s/audit.key" % server.folder if same_key else "other.key"
    _, config, folder = site.server_folder(
        [pki.p256[0]], extra='audit { folder = "%s/audit" key = "%s" }' % (server.folder, key))
    return config, folder


def files(server):
    """Of the log; its notes and the lock stand beside them."""
    return sorted(name for name in os.listdir(server.folder + "/audit") if name.startswith("audit-"))


def assert_refused(config, server, name="audit"):
    """It ends, and its error says who has the folder and how to mend it."""
    daemon = Daemon([program("keyless-server"), "-c", config])
    assert daemon.wait_exit() == 2
    assert daemon.find(r"event=vault_failed .*%s/%s: another key server \(process %d on .*audit \{ folder \}" % (
        re.escape(server.folder), name, server.process.pid)), daemon.lines


def dry_run(config):
    return subprocess.run([program("keyless-server"), "-t", "-c", config], capture_output=True, text=True)


@pytest.mark.parametrize("same_key", [False, True], ids=["another key", "the same key"])
def test_another_key_server_does_not_get_the_folder(site, pki, server, same_key):
    config, folder = another(site, pki, server, same_key)
    before = files(server)
    assert_refused(config, server)
    assert files(server) == before
    assert not os.path.exists(folder + "/other.key")
    keyless("audit", "verify", "--live", server.folder + "/audit")


def test_a_key_server_keeps_its_folder_through_reloads_and_deaths(site, pki, server):
    config, _ = another(site, pki, server)
    reload(server)
    reload(server)
    assert_refused(config, server)
    since = server.mark()
    kill_child(server, "vault")
    server.wait_log("event=vault_ready .*cause=restart", since)
    reload(server)
    assert_refused(config, server)
    server.kill()
    server = site.bring_back(server)  # at once: a vault of the one before may still be ending
    reload(server)
    assert_refused(config, server)
    assert len(files(server)) == 1
    server.stop()
    keyless("audit", "verify", server.folder + "/audit")


def on_host(name):
    """What runs a program on a host of that name: the kernel takes any."""
    return ["unshare", "--uts", "sh", "-c", 'printf %s "$1" >/proc/sys/kernel/hostname; shift; exec "$@"', "sh", name]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to name a host")
@pytest.mark.parametrize("name", ["(none)", "\u00fcn\u00ef", "key server"])
def test_the_host_may_have_any_name(site, pki, name):
    """It starts, reloads, and the vault that comes after a dead one has the folder again."""
    identity, config, folder = site.server_folder([pki.p256[0]])
    server = site.restart_server(folder, identity, config, inside=on_host(name))
    reload(server)
    since = server.mark()
    kill_child(server, "vault")
    server.wait_log("event=vault_ready .*cause=restart", since)
    assert_refused(another(site, pki, server)[0], server)


def test_a_folder_is_free_when_its_key_server_has_ended(site, pki, server):
    config, folder = another(site, pki, server)
    server.stop()
    other = site.restart_server(folder, server.identity, config)
    assert other.find("event=audit_opened .*folder=%s/audit" % re.escape(server.folder))


def test_a_reload_takes_the_lock_of_the_folder_it_changes_to(site, pki, server):
    """Not that of another key server; and the folder that was left is free for others."""
    other = site.start_server([pki.p256[0]])
    with open(other.config) as handle:
        text = handle.read()
    write(other.config, text + 'audit { folder = "%s/audit" }\n' % server.folder)
    since = other.mark()
    other.send_signal(signal.SIGHUP)
    other.wait_log("event=vault_failed .*process %d on" % server.process.pid, since)
    other.wait_log("event=reload_failed", since)
    write(other.config, text + 'audit { folder = "%s/elsewhere" }\n' % other.folder)
    reload(other)
    config, _ = another(site, pki, other)
    with open(config) as handle:
        text = handle.read()
    write(config, text.replace('/audit"', '/elsewhere"'))
    assert_refused(config, other, "elsewhere")


def test_a_dry_run_takes_no_lock(site, pki, server):
    config, _ = another(site, pki, server)
    done = dry_run(config)
    assert done.returncode == 0, done.stderr
    server.stop()
    os.unlink(server.folder + "/audit/lock")
    done = dry_run(config)
    assert done.returncode == 0, done.stderr
    assert not os.path.exists(server.folder + "/audit/lock")
