"""The disk of the audit log is full: by default nothing is answered then, and all goes on by itself when there is room."""
import json
import os
import re
import shutil
import signal
import ssl
import subprocess

import pytest

import clients
import small_disk
from audit_log import Load, records, uses
from daemon import SLOW, Daemon, program, wait_until
from fleet import keyless
from pki import key_id
from test_quotas import stay_in_one_day

FAILING = "keyless_server_audit_failing"
UNRECORDED = "keyless_server_audit_unrecorded_total"


class Yard:
    """A key server whose log is on a small disk, and a load."""

    def __init__(self, site, disk, keys, options=""):
        self.site, self.disk = site, disk
        identity, config, self.folder = site.server_folder(
            keys, extra='access_log = off\naudit { folder = "%s/audit" rotate_size = 64k checkpoint = 100ms %s }' % (
                disk.folder, options))
        self.start = lambda: site.restart_server(self.folder, identity, config, inside=disk.inside)
        self.config, self.load = config, None
        self.log = os.path.join(disk.path, "audit")

    def run(self, key=None):
        self.server = self.start()
        if key:
            self.load = Load(self.site, self.server, key, in_flight=2)
        return self

    def wait_full(self):
        """Until nothing can be recorded any more: the last block of the log may have had room for a little."""
        def is_full():
            before = self.count("ok")
            self.load.wait_more(100, "unavailable")
            return self.count("ok") == before
        wait_until(is_full, "answers, all of them 'unavailable'")

    def fill(self):
        self.disk.fill()
        self.wait_full()

    def names(self):
        return sorted(name for name in os.listdir(self.log) if name.startswith("audit-"))

    def count(self, status):
        return len(self.load.read().answers[status])

    def figures(self):
        return self.server.admin.status()["vault"]["audit"]

    def end(self):
        """Ends load and key server; returns all records."""
        self.load.end()
        assert self.server.stop() == 0
        return records(self.log)

    def verify(self, *arguments):
        return keyless("audit", "verify", "--key", os.path.join(self.folder, "audit.pub"), *(arguments or [self.log]),
                       check=False)


@pytest.fixture
def yard(site, tmp_path):
    """Makes a Yard; its disk goes after the daemons."""
    what = small_disk.missing()
    if what:
        pytest.skip("needs " + what)
    disks, yards = [], []

    def make(size, *arguments):
        disks.append(small_disk.SmallDisk(tmp_path / ("disk%d" % len(disks)), size))
        yards.append(Yard(site, disks[-1], *arguments))
        return yards[-1]
    yield make
    for made in yards:
        if made.load:
            made.load.close()
    site.close()
    for disk in disks:
        disk.close()


def assert_good(done):
    assert done.returncode == 0 and re.search("^good: ", done.stdout, re.M), done.stdout + done.stderr


def assert_recorded(found, traces):
    recorded = uses(found)
    unrecorded = [trace for trace in traces if recorded.get(trace) != ["ok"]]
    assert not unrecorded, "%d of %d" % (len(unrecorded), len(traces))


def assert_withheld(found, traces):
    """What was not answered has no record that says it was."""
    recorded = uses(found)
    assert traces and not [trace for trace in traces if trace in recorded]


def total(found, member):
    return sum(record[member] for record in found if record["type"] == "gap")


def test_on_a_full_disk_all_is_refused_and_with_room_it_goes_on_by_itself(yard, pki):
    yard = yard("64m", [pki.p256[0]]).run(key_id(pki.p256[1]))
    server = yard.server
    yard.load.wait_more(100)
    assert server.admin.metric(FAILING) == 0 and not yard.figures()["failing"]
    for _ in range(3):
        since = server.mark()
        yard.fill()
        server.wait_log(r'event=audit_failing folder=\S+/audit error="No space left on device" uses=refused '
                        r'hint="make room on its disk"', since)
        server.admin.wait_metric(FAILING)
        assert yard.figures()["failing"]
        wait_until(lambda: server.admin.get("/ready")[0] == 503, "that it is not ready")
        assert "cannot be written" in keyless("status", "%s:%d" % (server.admin.host, server.admin.port), check=False).stdout
        refused = server.admin.metric(r'refusals_total\{reason="audit_unavailable"')
        yard.load.wait_more(100, "unavailable")
        server.admin.wait_metric(r'refusals_total\{reason="audit_unavailable"', refused + 1)
        yard.disk.make_room()
        server.wait_log("event=audit_recovered", since)
        yard.load.wait_more(100)
        wait_until(lambda: server.admin.metric(FAILING) == 0, "the end of the failure in /metrics")
        wait_until(lambda: server.admin.get("/ready")[0] == 200, "that it is ready again")
    withheld = yard.figures()["withheld"]
    found = yard.end()
    assert_good(yard.verify())
    assert_recorded(found, yard.load.answers["ok"])
    assert_withheld(found, yard.load.answers["unavailable"])
    assert set(yard.load.answers) == {"ok", "unavailable"}
    assert 0 < total(found, "withheld") == withheld
    assert total(found, "unrecorded") == 0


def test_room_is_made_by_moving_closed_files_away(yard, pki, tmp_path):
    """The log itself fills the disk; what was moved and what stays are one log."""
    yard = yard("512k", [pki.p256[0]]).run(key_id(pki.p256[1]))
    away = tmp_path / "away"
    away.mkdir()
    for last in (False, False, False, True):
        yard.wait_full()
        if last:
            yard.load.end()
        before = yard.figures()["sequence"]
        for name in yard.names()[:-1]:
            shutil.move(os.path.join(yard.log, name), away / name)
        wait_until(lambda: yard.figures()["sequence"] > before and (not last or not yard.figures()["failing"]), "further records")
    assert yard.server.stop() == 0
    moved = [str(away / name) for name in sorted(os.listdir(away))]
    assert len(moved) > 10
    assert_good(yard.verify(*moved, *[os.path.join(yard.log, name) for name in yard.names()]))
    found = records(away) + records(yard.log)
    assert_recorded(found, yard.load.answers["ok"])
    assert_withheld(found, yard.load.answers["unavailable"])


def test_a_vault_that_begins_on_a_full_disk_goes_on_when_there_is_room(yard, pki):
    yard = yard("64m", [pki.p256[0]]).run(key_id(pki.p256[1]))
    yard.load.wait_more(100)
    yard.fill()
    since = yard.server.mark()
    os.kill(next(pid for name, pid in yard.server.children().items() if "vault" in name), signal.SIGKILL)
    yard.server.wait_log("event=audit_failing", since)
    yard.wait_full()
    yard.disk.make_room()
    yard.load.wait_more(100)
    found = yard.end()
    assert_good(yard.verify())
    assert_recorded(found, yard.load.answers["ok"])
    assert [record["type"] for record in found].count("start") == 2


def test_a_first_start_on_a_full_disk_says_what_is_wrong(yard, pki):
    yard = yard("64m", [pki.p256[0]])
    yard.disk.fill()
    server = Daemon([*yard.disk.inside, program("keyless-server"), "-c", yard.config])
    try:
        assert server.wait_exit() == 2
    finally:
        server.kill()
    assert server.find(r"event=vault_failed .*/audit: the audit log cannot be written: No space left on device")
    yard.disk.make_room()
    yard.run(key_id(pki.p256[1])).load.wait_more()
    found = yard.end()
    assert_good(yard.verify())
    assert_recorded(found, yard.load.answers["ok"])


def end_and_count_unrecorded(yard):
    """Of one that answers everything: how many answers are without a record, which must be as many as the log says."""
    found = yard.end()
    assert set(yard.load.answers) == {"ok"}
    recorded = uses(found)
    unrecorded = [trace for trace in yard.load.answers["ok"] if trace not in recorded]
    assert len(unrecorded) == total(found, "unrecorded")
    assert_recorded(found, set(yard.load.answers["ok"]) - set(unrecorded))
    return len(unrecorded)


def test_who_serves_on_a_full_disk_says_how_many_are_not_recorded(yard, pki):
    yard = yard("64m", [pki.p256[0]], "on_failure = serve").run(key_id(pki.p256[1]))
    server = yard.server
    yard.load.wait_more(100)
    for _ in range(3):
        since, before = server.mark(), server.admin.metric(UNRECORDED)
        yard.disk.fill()
        server.wait_log(r'event=audit_failing .*error="No space left on device" uses=unrecorded '
                        r'hint="make room on its disk"', since)
        server.admin.wait_metric(UNRECORDED, before + 1000 / SLOW)
        server.admin.wait_metric(FAILING)
        assert yard.figures()["failing"]
        shown = keyless("status", "%s:%d" % (server.admin.host, server.admin.port), check=False).stdout
        assert "cannot be written" in shown and "answers unrecorded" in shown
        sequence = yard.figures()["sequence"]
        yard.disk.make_room()
        wait_until(lambda: yard.figures()["sequence"] > sequence + 100 and not yard.figures()["failing"], "further records")
        server.wait_log(r"event=audit_recovered .*unrecorded=[1-9]\d* withheld=0", since)
    unrecorded = end_and_count_unrecorded(yard)
    assert unrecorded > 3000 / SLOW
    done = yard.verify()
    assert_good(done)
    assert "besides %d uses that could not be recorded" % unrecorded in done.stdout
    report = json.loads(yard.verify("--json", yard.log).stdout)
    assert report["unrecorded"] == unrecorded
    assert [note["type"] for note in report["notes"]] == ["gap"] * report["note_count"]


def serving_vault(server):
    """The process id of the vault that was handed to the net process last."""
    return int(re.search(r"pid=(\d+)", server.find("event=vault_ready")[-1]).group(1))


def reload_vault(server):
    since = server.mark()
    server.send_signal(signal.SIGHUP)
    server.wait_log("event=reloaded", since)
    server.wait_log("event=vault_ready cause=reload", since)


def kill_vault(server):
    since = server.mark()
    os.kill(serving_vault(server), signal.SIGKILL)
    server.wait_log("event=vault_ready", since)


def test_only_a_restart_on_a_full_disk_forgets_what_is_in_no_record(yard, pki):
    """Of a quota, where the owner has requests served without a record."""
    stay_in_one_day(100 * SLOW)
    quota, in_flight = 300, 2
    yard = yard("64m", [pki.p256[0]], "on_failure = serve }\nkey_default { quota = %d/d" % quota).run()
    yard.disk.fill()

    def ask():
        yard.load = Load(yard.site, yard.server, key_id(pki.p256[1]), in_flight=in_flight)
        yard.load.wait_more(100, "refused")
        yard.load.end()
        granted = yard.count("ok")
        yard.load.close()
        yard.load = None
        return granted
    assert ask() == quota
    kill_vault(yard.server)
    assert ask() == 0
    reload_vault(yard.server)
    assert ask() == 0
    assert yard.server.stop() == 0
    assert yard.server.find(r"event=audit_gap .*unrecorded=[1-9]")
    yard.run()
    assert quota / 2 < ask() <= quota
    yard.disk.make_room()


def while_busy(server, *changes):
    """The vault that serves is still busy meanwhile, and ends only afterwards."""
    busy, since = serving_vault(server), server.mark()
    os.kill(busy, signal.SIGSTOP)
    for change in changes:
        change(server)
    os.kill(busy, signal.SIGCONT)
    server.wait_log("event=child_ended role=vault pid=%d " % busy, since)


def reload_and_kill_vault(server):
    """What takes its place is killed before it can see what it left."""
    while_busy(server, reload_vault, kill_vault)


def reload_twice(server):
    """What takes its place is replaced and ends before it can see what it left."""
    def reload_again(server):
        second, since = serving_vault(server), server.mark()
        reload_vault(server)
        server.wait_log("event=child_ended role=vault pid=%d " % second, since)
    while_busy(server, reload_vault, reload_again)


@pytest.mark.parametrize("change", [reload_vault, kill_vault, reload_and_kill_vault, reload_twice])
def test_what_is_not_recorded_is_counted_over_a_change_of_vaults(yard, pki, change):
    """The number, not the uses: of one that is killed it may have answers in it that did not leave any more."""
    yard = yard("64m", [pki.p256[0]], "on_failure = serve").run(key_id(pki.p256[1]))
    yard.load.wait_more(100)
    yard.disk.fill()
    yard.server.admin.wait_metric(UNRECORDED, 100)
    since = yard.server.mark()
    change(yard.server)
    yard.load.wait_more(100)
    yard.disk.make_room()
    yard.server.wait_log("event=audit_recovered", since)
    wait_until(lambda: yard.load.wait_more(1) or not yard.figures()["failing"], "a log that is written")
    found = yard.end()
    recorded = uses(found)
    unrecorded = [trace for trace in yard.load.answers["ok"] if trace not in recorded]
    assert len(unrecorded) > 200
    assert len(unrecorded) <= total(found, "unrecorded") <= len(unrecorded) + 2
    assert_good(yard.verify())


def test_a_stop_with_a_gap_says_how_many_have_no_record(yard, pki):
    yard = yard("64m", [pki.p256[0]], "on_failure = serve").run(key_id(pki.p256[1]))
    yard.load.wait_more(100)
    yard.disk.fill()
    yard.server.admin.wait_metric(UNRECORDED, 100)
    since = yard.server.mark()
    found = yard.end()
    line = yard.server.wait_log(r"event=audit_gap folder=\S+ unrecorded=\d+ withheld=0 error=", since)
    unrecorded = [trace for trace in yard.load.answers["ok"] if trace not in uses(found)]
    assert 100 < len(unrecorded) <= int(re.search(r"unrecorded=(\d+)", line).group(1)) <= len(unrecorded) + 2  # on their way


def test_who_serves_begins_on_a_full_disk_too(yard, pki):
    yard = yard("64m", [pki.p256[0]], "on_failure = serve")
    yard.disk.fill()
    yard.run(key_id(pki.p256[1])).load.wait_more(100)
    yard.server.wait_log('event=audit_failing .*error="No space left on device" uses=unrecorded')
    yard.server.admin.wait_metric(UNRECORDED, 100)
    yard.disk.make_room()
    wait_until(lambda: yard.figures()["sequence"] > 100, "records")
    assert end_and_count_unrecorded(yard) >= 100
    assert_good(yard.verify())


def test_handshakes_go_to_a_key_server_whose_disk_is_not_full(yard, site, pki, origin):
    yard = yard("1m", [pki.p256[0], pki.rsa[0]]).run()
    other = site.start_server([pki.p256[0], pki.rsa[0]])
    edge = site.start_edge([yard.server, other], [pki.p256[1], pki.rsa[1]], origin.address).wait_epochs(2)
    new = [("p256.test", clients.context(pki.ca, ssl.TLSVersion.TLSv1_3)),
           ("rsa.test", clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"))]

    def shake():
        for name, context in new:
            assert b"from the origin" in clients.fetch(edge, name, context)

    def answered(server, status):
        return server.admin.metric(r'answers_total\{operation="(sign_tls13|rsa_master)",status="%s"' % status)
    shake()
    yard.disk.fill()
    refused = wait_until(lambda: shake() or answered(yard.server, "unavailable"), "a request that was refused")
    yard.server.wait_log("event=audit_failing")
    before = answered(yard.server, "ok")
    for _ in range(20):
        shake()
    wait_until(lambda: shake() or answered(yard.server, "unavailable") >= refused + 5, "more of them")
    assert answered(yard.server, "ok") == before
    yard.disk.make_room()
    yard.server.wait_log("event=audit_recovered")
    wait_until(lambda: shake() or answered(yard.server, "ok") > before, "an answer of the one that had a full disk")
    assert edge.admin.metric(r"keyless_edge_handshake_failures_total") == 0
    edge.stop()
    for server, log in ((yard.server, yard.log), (other, os.path.join(other.folder, "audit"))):
        assert server.stop() == 0
        assert_good(keyless("audit", "verify", log, check=False))
    kinds = [r["op"] for r in records(yard.log) + records(os.path.join(other.folder, "audit")) if r.get("result") == "ok"]
    assert kinds.count("sign_tls13") == kinds.count("rsa_master") >= 21


def test_a_start_on_a_disk_that_is_mounted_read_only_says_so(yard, pki):
    made = yard("256k", [pki.p256[0]]).run()
    made.server.stop()
    made.site.daemons.remove(made.server)
    subprocess.run([*made.disk.inside, "mount", "-o", "remount,ro", made.disk.folder], check=True)
    done = subprocess.run([*made.disk.inside, program("keyless-server"), "-c", made.config], capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 2 and re.search(r"%s/audit: is on a file system that is mounted read-only, .*ReadWritePaths=" % made.disk.folder,
                                              done.stderr), done.stderr
