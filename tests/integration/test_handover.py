"""What a vault has reached is reached for good: the one that follows it goes on there, after a reload, a death, or the
end of all, whatever has become of the clock, and of the files of the audit log."""
import os
import subprocess

import pytest

from daemon import BUILD, wait_until
from test_key_server_failures import kill_child
from test_policy import reload

AHEAD = 3600  # seconds


def give(folder, uid, gid):
    """The folder of an audit log with all that is in it."""
    for path in [folder] + [os.path.join(folder, name) for name in os.listdir(folder)]:
        os.chown(path, uid, gid)


def put_ahead(site, server):
    """As if the clock had been AHEAD once, and was set right; returns the key server that has started after that."""
    folder = server.folder + "/audit"
    server.stop()
    owner = os.stat(folder)
    give(folder, os.getuid(), os.getgid())
    subprocess.run([os.path.join(BUILD, "tests", "peer_audit"), "ahead", folder, server.folder + "/audit.key",
                    server.folder + "/keys", str(AHEAD)], check=True)
    give(folder, owner.st_uid, owner.st_gid)
    return site.bring_back(server)


def epoch(server):
    return int(server.admin.metric("keyless_server_epoch$"))


def wait_epoch(server, number):
    wait_until(lambda: epoch(server) >= number, "epoch %d" % number)


@pytest.fixture
def ahead(site, pki):
    """A key server with epochs of a second that is ahead of the clock, and has nothing to record."""
    server = put_ahead(site, site.start_server([pki.p256[0]], extra="epoch = 1s"))
    wait_until(lambda: server.admin.metric("keyless_server_epoch_ahead_seconds") > AHEAD - 1, "time of epochs ahead")
    return server


def idle(server):
    """For several epochs; returns the one that has been reached."""
    first = epoch(server)
    wait_epoch(server, first + 4)
    return epoch(server)


@pytest.mark.parametrize("how", ["reload", "death of the vault", "death of all"])
def test_an_epoch_that_was_reached_never_comes_again(site, ahead, how):
    server, number = ahead, idle(ahead)
    if how == "reload":
        reload(server)
    elif how == "death of the vault":
        since = server.mark()
        kill_child(server, "vault")
        server.wait_log("event=vault_ready .*cause=restart", since)
    else:
        server.kill()
        server = site.bring_back(server)
    wait_until(lambda: epoch(server) > 0, "figures of the new vault")
    assert number <= epoch(server) <= number + 60
    assert server.admin.metric("keyless_server_epoch_ahead_seconds") > AHEAD - 10
