"""What a vault has reached is reached for good: the one that follows it goes on there, after a reload, a death, or the
end of all, whatever has become of the clock, and of the files of the audit log."""
import os
import signal
import subprocess

import pytest

import tls12
from daemon import BUILD, program, wait_until
from fleet import keyless
from pki import key_id
from test_key_server_failures import kill_child
from test_policy import reload
from test_quotas import stay_in_one_day

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
    wait_until(lambda: server.admin.metric("keyless_server_epoch_ahead_seconds") > AHEAD / 2, "time of epochs ahead")
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


class Counted:
    """A key server that grants three uses a day, all of them used."""

    def __init__(self, site, pki):
        self.server = site.start_server([pki.p256[0]], authorized=site.authorized_line(options="ops=sign_tls13 quota=3/d"))
        self.folder = self.server.folder + "/audit"
        self.site, self.key = site, key_id(pki.p256[1])
        assert self.ask(4) == ["ok", "ok", "ok", "refused"]

    def ask(self, count=1):
        asker = tls12.Asker(program("tests/peer_ask"), self.server, self.site.edge_identity, self.site.psk_path)
        try:
            return [asker.ask("sign_tls13", self.key, "0403", "11" * 32)[0] for _ in range(count)]
        finally:
            asker.close()

    def names(self):
        return sorted(name for name in os.listdir(self.folder) if name.startswith("audit-"))

    def empty(self):
        """Takes the log away; returns the first number that it has not given."""
        self.server.admin.wait_metric("keyless_server_audit_sequence", 9)  # with those of a start, of an edge and of a key
        next_one = int(self.server.admin.metric("keyless_server_audit_sequence")) + 1
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        return next_one


@pytest.fixture
def counted(site, pki):
    stay_in_one_day(60)
    return Counted(site, pki)


@pytest.mark.parametrize("how", ["reload", "death of the vault"])
def test_counts_and_the_chain_outlast_the_files_of_the_log(counted, how):
    next_one = counted.empty()
    since = counted.server.mark()
    if how == "reload":
        reload(counted.server)
    else:
        kill_child(counted.server, "vault")
        counted.server.wait_log("event=vault_ready .*cause=restart", since)
    counted.server.wait_log("event=audit_damaged", since)
    assert counted.ask() == ["refused"]
    assert int(counted.names()[0][6:-6]) >= next_one
    counted.server.stop()
    keyless("audit", "verify", "--part", counted.folder)


def test_a_reload_does_not_begin_another_log_while_the_old_one_is_written(counted):
    """The folder was renamed: its vault goes on writing there, and a second one is not begun behind its back."""
    server, moved = counted.server, counted.folder + ".moved"
    os.rename(counted.folder, moved)
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log("event=vault_failed .*move it back and reload", since)
    server.wait_log("event=reload_failed", since)
    assert not os.path.exists(counted.folder)
    assert counted.ask() == ["refused"]
    os.rename(moved, counted.folder)
    reload(server)
    assert counted.ask() == ["refused"]
    assert len(counted.names()) == 1
    server.stop()
    keyless("audit", "verify", "--part", counted.folder)
