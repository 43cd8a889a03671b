"""A loader that hangs, and a new vault that hangs before it is ready: each is told of, killed after a while, and replaced."""
import glob
import json
import os
import re
import shutil
import signal
import time

from daemon import SLOW, wait_until
from test_overdue import CONFIG, Stopped, serves

SAY, FORK, ALONE, LOAD = 5000, 5000, 20000, 60000  # ms, as the supervisor counts


def sites(site, pki, origin):
    server = site.start_server([pki.p256[0]], extra=CONFIG)
    edge = site.start_edge([server], [pki.p256[1]], origin.address, tls="tickets = off")
    edge.wait_grants()
    return server, edge


def children(pid):
    found = set()
    for path in glob.glob("/proc/%d/task/*/children" % pid):
        with open(path) as handle:
            found.update(int(child) for child in handle.read().split())
    return found


def stop_a_new_vault(server):
    """Begins a reload, whose vault is stopped before it is ready; returns its pid."""
    for _ in range(200):
        known, since = children(server.pid), server.mark()
        server.send_signal(signal.SIGHUP)
        end = time.monotonic() + 2 * SLOW
        new = set()
        while not new and time.monotonic() < end:
            new = children(server.pid) - known
        for pid in new:
            os.kill(pid, signal.SIGSTOP)
        server.wait_log(r"event=reloading ", since)
        time.sleep(0.3)
        if new and not server.find(r"event=vault_ready", since):
            return new.pop()
        for pid in new:
            os.kill(pid, signal.SIGCONT)
        server.wait_log(r"event=reloaded ", since)
        wait_until(lambda: len(children(server.pid)) == 3, "one vault alone")
    raise AssertionError("no vault was caught before it was ready")


def test_a_loader_that_hangs_is_replaced_when_there_is_no_vault(site, pki, origin):
    """It had only to fork: that takes no time."""
    server, edge = sites(site, pki, origin)
    found, since = server.children(), server.mark()
    with Stopped(found["keyless-loader"]):
        os.kill(found["keyless-vault"], signal.SIGKILL)
        server.wait_log(r'error .*event=child_overdue killed="loader %d" waited_ms=%d error=".+" hint=".*keyless-loader'
                        % (found["keyless-loader"], FORK), since)
        server.wait_log(r"event=child_ended role=loader pid=%d signal=9" % found["keyless-loader"], since)
        server.wait_log(r"event=vault_ready cause=restart", since)
    wait_until(lambda: serves(edge, pki), "a handshake by the vault that another loader has begun")
    assert server.children()["keyless-loader"] != found["keyless-loader"]
    assert edge.stop() == 0 and server.stop() == 0


def test_a_reload_that_hangs_does_not_keep_the_next_vault_away(site, pki, origin):
    """Until the vault dies there is time; then whoever holds the reload up is killed soon."""
    server, edge = sites(site, pki, origin)
    found, since = server.children(), server.mark()
    with Stopped(found["keyless-loader"]):
        server.send_signal(signal.SIGHUP)
        waits = server.wait_log(r'warn .*event=load_waits processes="loader %d" silent_ms=\d+ at_most_ms=%d error=".+" '
                                r'hint=".*keyless-loader' % (found["keyless-loader"], LOAD), since)
        assert SAY <= int(re.search(r"silent_ms=(\d+)", waits).group(1)) < LOAD
        assert serves(edge, pki)
        assert server.admin.get("/ready")[0] == 200 and server.admin.metric("keyless_server_load_silent") == 1
        assert json.loads(server.admin.get("/status.json")[1])["vault"]["load"] == "silent"
        server.send_signal(signal.SIGHUP)
        waits = server.wait_log(r'event=reload_waits reason=loading processes="loader %d" at_most_ms=\d+$'
                                % found["keyless-loader"], since)
        assert int(re.search(r"at_most_ms=(\d+)", waits).group(1)) <= LOAD - SAY
        os.kill(found["keyless-vault"], signal.SIGKILL)
        wait_until(lambda: server.admin.get("/ready") == (503, "no vault: one is being loaded, and nothing goes on; the log says "
                                                          "what hangs\n"), "/ready that tells of it")
        server.wait_log(r'event=child_overdue killed="loader %d" waited_ms=%d ' % (found["keyless-loader"], ALONE), since)
        server.wait_log(r'event=reload_failed error="the loader has not answered in time, and was killed"', since)
        server.wait_log(r"event=vault_ready", since)
    wait_until(lambda: serves(edge, pki), "a handshake by the next vault")
    server.admin.wait_metric("keyless_server_load_silent", 0)
    server.wait_log(r"event=reloaded ", since)  # what the second signal asked for
    assert edge.stop() == 0 and server.stop() == 0


def test_a_new_vault_that_hangs_does_not_keep_the_next_one_away(site, pki, origin):
    server, edge = sites(site, pki, origin)
    old, since = server.children()["keyless-vault"], server.mark()
    new = stop_a_new_vault(server)
    server.wait_log(r'warn .*event=load_waits processes="vault %d" ' % new, since)
    assert serves(edge, pki)
    old = max(int(re.search(r"pid=(\d+)", line).group(1)) for line in server.find(r"event=vault_ready"))
    os.kill(old, signal.SIGKILL)
    server.wait_log(r'error .*event=child_overdue killed="vault %d" waited_ms=%d error=".+" hint=".*keyless-vault'
                    % (new, ALONE), since)
    server.wait_log(r"event=vault_ready cause=restart", since)
    wait_until(lambda: serves(edge, pki), "a handshake by the next vault")
    assert edge.stop() == 0 and server.stop() == 0


def test_a_reload_that_hangs_fails_and_leaves_what_serves(site, pki, origin):
    """In both ways, beside each other: a loader that does not answer, and a new vault that does not become ready."""
    loader, edge = sites(site, pki, origin)
    vault = site.start_server([pki.p256[0]], extra=CONFIG)
    hanging, marks = loader.children()["keyless-loader"], (loader.mark(), vault.mark())
    old = loader.children()["keyless-vault"]
    with Stopped(hanging):
        loader.send_signal(signal.SIGHUP)
        new = stop_a_new_vault(vault)
        wait_until(lambda: loader.find(r'event=child_overdue killed="loader %d" waited_ms=%d ' % (hanging, LOAD), marks[0]),
                   "the loader is killed", seconds=LOAD / 1000 + 30)
        loader.wait_log(r'event=reload_failed error="the loader has not answered in time, and was killed"', marks[0])
        wait_until(lambda: vault.find(r'event=child_overdue killed="vault %d" waited_ms=%d ' % (new, LOAD), marks[1]),
                   "the new vault is killed", seconds=60)
        vault.wait_log(r'event=reload_failed error="the new vault has not become ready in time, and was killed"', marks[1])
    assert loader.children()["keyless-vault"] == old and serves(edge, pki)
    for server in (loader, vault):
        since = server.mark()
        wait_until(lambda: "keyless-loader" in server.children(), "another loader")
        server.send_signal(signal.SIGHUP)
        server.wait_log(r"event=reloaded ", since)
    assert edge.stop() == 0 and loader.stop() == 0 and vault.stop() == 0


def add_copies(server, pki, count):
    """Of one key: each is read, which takes time."""
    for number in range(count):
        path = "%s/keys/copy%d.key" % (server.folder, number)
        shutil.copy(pki.rsa4096[0], path)
        os.chmod(path, 0o400)


def read_until_word(server, loader, since):
    """Lets the loader read a key or two at a time: it tells of them once a second, between two of them."""
    for _ in range(60):
        if server.find(r"event=keys_loading ", since):
            return
        with Stopped(loader):
            time.sleep(1.1)
        time.sleep(0.01)
    raise AssertionError("the loader tells of no key")


def test_a_supervisor_that_was_held_up_hears_all_of_the_loader_before_the_vault(site, pki):
    """The word about keys, and then which vault it is, lie before it at once, together with the word that this is ready."""
    server = site.start_server([pki.p256[0]], extra=CONFIG)
    add_copies(server, pki, 300)
    since, loader = server.mark(), server.children()["keyless-loader"]
    server.send_signal(signal.SIGHUP)
    read_until_word(server, loader, since)  # it has its order
    with Stopped(server.pid):
        read_until_word(server, loader, server.mark())
        server.wait_log(r"\[vault\] event=sandbox ", since)
    server.wait_log(r"event=reloaded ", since)
    assert server.stop() == 0


def test_a_loader_that_reads_many_keys_gives_word_meanwhile(site, pki):
    """What is told of its silence is taken back as soon as keys are read again, not when all are."""
    server = site.start_server([pki.p256[0]], extra=CONFIG)
    add_copies(server, pki, 600)
    since, loader = server.mark(), server.children()["keyless-loader"]
    with Stopped(loader):
        server.send_signal(signal.SIGHUP)
        server.wait_log(r'event=load_waits processes="loader %d" ' % loader, since)
        server.admin.wait_metric("keyless_server_load_silent", 1)
    server.wait_log(r"event=keys_loading ", since)
    server.admin.wait_metric("keyless_server_load_silent", 0)
    assert not server.find(r"event=reloaded ", since)
    # The first file is read again where its change was too recent to be told from the next.
    server.wait_log(r"event=reloaded loaded=60[01] ", since)
    assert server.stop() == 0
