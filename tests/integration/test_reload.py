"""SIGHUP at the key server: keys, policy and authorized_edges change in one move, under load, and nobody who may stay notices."""
import base64
import json
import os
import re
import signal
import subprocess
import time

import pytest

import keysearch
import tls12
from daemon import SLOW, program, wait_until
from fleet import Identity, keyless, write
from pki import key_id, openssl
from relay import Relay

SIGN = "ops=sign_tls13"
P256 = "0403"
HASH = "11" * 32


class Yard:
    """A key server with an RSA and a P-256 key and two edges that may be taken out of its list."""

    def __init__(self, site, pki, extra=""):
        self.site, self.pki, self.askers = site, pki, []
        self.second = Identity(site.folder, "second.key")
        self.second_psk = write(site.folder + "/second.psk", keyless("genkey").stdout, 0o400)
        with open(self.second_psk) as handle:
            self.psk = handle.read().strip()
        self.server = site.start_server([pki.p256[0], pki.rsa[0]], authorized=self.first() + self.other(), extra=extra)

    def first(self, options=SIGN):
        return self.site.authorized_line("first", options=options)

    def other(self, options=SIGN):
        return self.site.authorized_line("other", self.second, self.psk, options)

    def write(self, text):
        path = os.path.join(self.server.folder, "authorized_edges")
        write(path + ".new", text)
        os.rename(path + ".new", path)

    def reload(self, outcome=r"event=edges_loaded"):
        since, begun = self.server.mark(), time.monotonic()
        self.server.send_signal(signal.SIGHUP)
        return self.server.wait_log(outcome, since), since, begun

    def next_vault(self, outcome):
        """Reloads, to OUTCOME; the pid of the vault that has taken over. Whose line comes first is nobody's promise: it is several
        processes that log."""
        _, since, _ = self.reload(outcome)
        return int(re.search(r"pid=(\d+)", self.server.wait_log(r"event=vault_ready cause=reload", since)).group(1))

    def asker(self, second=False):
        who = (self.second, self.second_psk) if second else (self.site.edge_identity, self.site.psk_path)
        self.askers.append(tls12.Asker(program("tests/peer_ask"), self.server, *who))
        return self.askers[-1]

    def load(self, seconds, kind="p256", in_flight=64, second=False):
        """Requests without a pause, in a process of their own."""
        who = {"identity": self.second, "psk_path": self.second_psk} if second else {}
        key, cert = getattr(self.pki, kind)
        config = self.site.edge_config([(self.server.address, self.server.identity.public)], [cert], "127.0.0.1:1", **who)
        return subprocess.Popen([program("keyless"), "bench", "-c", config, "--op", "sign_tls13", "--key", key_id(cert),
                                 "--in-flight", str(in_flight), "--seconds", str(seconds), "--warm-up", "0", "--json"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def close(self):
        for asker in self.askers:
            asker.close()


@pytest.fixture
def yard(site, pki):
    made = Yard(site, pki)
    yield made
    made.close()


def outcome(load):
    out, err = load.communicate(timeout=60 * SLOW)
    assert out, err
    return json.loads(out)[0]


@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_no_request_is_lost_by_reloads_under_load(yard, kind):
    load = yard.load(4, kind, in_flight=256)
    yard.server.wait_log("event=edge_connected")
    for _ in range(8):
        yard.reload()
    result = outcome(load)
    assert result["failed"] == 0 and result["answered"] > 500 / SLOW
    assert yard.server.admin.metric("vault_reloads_total") == 8


def seconds_until_out(yard, load):
    """From the signal on until the second edge, which is at work, is gone. Then it is still there and tries again."""
    yard.write(yard.first())
    _, since, begun = yard.reload()
    yard.server.wait_log(r"event=edge_disconnected edge=other .*reason=revoked", since)
    assert load.poll() is None
    return time.monotonic() - begun, since


def test_a_removed_edge_is_out_within_a_second_under_load_and_the_other_stays(yard):
    """Once is enough to show that it takes no longer: a machine that is busy with others' work adds to it."""
    asker, key, took = yard.asker(), key_id(yard.pki.p256[1]), []
    while not took or (min(took) >= 1 * SLOW and len(took) < 5):
        since = yard.server.mark()
        yard.write(yard.first() + yard.other())
        yard.reload()
        stays, removed = yard.load(4), yard.load(600, second=True)
        yard.server.wait_log("event=edge_connected edge=other", since)
        yard.server.wait_log("event=edge_connected edge=first", since)
        seconds, since = seconds_until_out(yard, removed)
        took.append(seconds)
        assert asker.ask("sign_tls13", key, P256, HASH)[0] == "ok"  # over the channel that it had
        result = outcome(stays)
        assert result["failed"] == 0 and result["answered"] > 1000 / SLOW
        assert not yard.server.find("event=edge_connected edge=other", since)
        removed.kill()
        removed.communicate()
    assert min(took) < 1 * SLOW, took


def test_grants_change_for_the_next_request_on_a_channel_that_stays(yard):
    asker, key = yard.asker(), key_id(yard.pki.p256[1])
    assert asker.ask("sign_tls13", key, P256, HASH)[0] == "ok"
    yard.write(yard.first("ops=sign_tls12") + yard.other())
    yard.reload()
    assert asker.ask("sign_tls13", key, P256, HASH)[0] == "refused"
    yard.write(yard.first() + yard.other())
    yard.reload()
    assert asker.ask("sign_tls13", key, P256, HASH)[0] == "ok"
    assert len(yard.server.find("event=edge_connected edge=first")) == 1


def test_keys_come_and_go(yard):
    asker, pki = yard.asker(), yard.pki
    assert asker.ask("sign_tls13", key_id(pki.ed25519[1]), "0807", HASH)[0] == "refused"
    yard.site.add_key(os.path.join(yard.server.folder, "keys"), pki.ed25519[0])
    os.remove(os.path.join(yard.server.folder, "keys", "p256.key"))
    yard.reload()
    assert asker.ask("sign_tls13", key_id(pki.ed25519[1]), "0807", HASH)[0] == "ok"
    assert asker.ask("sign_tls13", key_id(pki.p256[1]), P256, HASH)[0] == "refused"


PHRASE = "kJ8wqLz3VtRn5XcYb2MfHs7D"
FORMS = {"rsa": ["pkey"], "p256": ["pkey"], "p384": ["pkey", "-outform", "DER"], "ed25519": ["pkey"],
         "rsa3072": ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:" + PHRASE],
         "rsa4096": ["pkey", "-traditional"]}


@pytest.fixture
def full_yard(yard):
    """What its server has of each type of key, in several forms, and what of that and its other secrets may not be left:
    {name: spellings}."""
    keys, secrets = os.path.join(yard.server.folder, "keys"), {"passphrase": [PHRASE.encode()]}
    with open(yard.site.group_secret) as handle:
        texts = {"group secret": handle.read().strip(), "pre-shared key": yard.site.psk}
    for name, text in texts.items():
        secrets.update({name: [base64.b64decode(text)], name + " as text": [text.encode()]})
    config = os.path.join(yard.server.folder, "server.conf")
    with open(config) as handle:
        text = handle.read()
    phrase = write(os.path.join(yard.server.folder, "phrase"), PHRASE + "\n", 0o400)
    write(config, text + "key rsa3072 { passphrase_file = \"%s\" }\n" % phrase)
    for name in os.listdir(keys):
        os.remove(os.path.join(keys, name))
    for kind, form in FORMS.items():
        path, source = os.path.join(keys, kind + ".key"), getattr(yard.pki, kind)[0]
        openssl(*form, "-in", source, "-out", path)
        os.chmod(path, 0o400)
        secrets.update({kind + " " + name: spellings for name, spellings in keysearch.secrets_of(source).items()})
    return secrets


def test_keys_that_are_taken_out_are_gone_from_memory_to_the_last_piece(yard, full_yard):
    """The vault that takes over is a fork of who loads keys, and in that one the old keys are still there. Nor may either keep
    what OpenSSL has read and decoded on the way, in memory that was freed."""
    if os.environ.get("SAN"):
        pytest.skip("a sanitizer keeps what was freed, as it was")
    server = yard.server
    keys = os.path.join(server.folder, "keys")
    numbers = {name: s for name, s in full_yard.items() if name.split()[0] in FORMS and not name.endswith("PEM text")}
    vault = yard.next_vault(r"event=reloaded .*keys=6")
    try:
        assert keysearch.in_process(vault, numbers) == set(numbers)
    except PermissionError:
        pytest.skip("needs root (or CAP_SYS_PTRACE) to read another process's memory")
    # While they are served nothing but RSA's primes, for OpenSSL's arithmetic modulo them, lies in the ordinary heap.
    left = [line for line in keysearch.pieces_in_process(vault, full_yard)
            if line.endswith("[heap]") and not re.match(r"rsa\d* [pq], backwards", line)]
    assert not left, "while they are served:\n" + "\n".join(left)
    for kind in FORMS:
        os.remove(os.path.join(keys, kind + ".key"))
    stays = yard.pki.authority.issue("stays", "p256", ["stays.test"])[0]
    yard.site.add_key(keys, stays)
    left = keysearch.pieces_in_process(yard.next_vault(r"event=reloaded .*removed=6 keys=1"), full_yard)
    assert not left, "in the vault:\n" + "\n".join(left)
    loader = server.children()["keyless-loader"]
    wait_until(lambda: not keysearch.in_process(loader, numbers), "the loader to let go of the old keys")
    left = keysearch.pieces_in_process(loader, full_yard)
    assert not left, "in the loader:\n" + "\n".join(left)


PLAIN = "ops=sign_tls12,sign_tls13,rsa_premaster"


@pytest.mark.parametrize("again", ["reload", "reload without the loader", "start"])
def test_a_group_secret_that_is_lost_is_not_made_anew(yard, again):
    """Another one would answer a ciphertext with a bad padding differently from before, and a good one as before."""
    server, pki = yard.server, yard.pki
    yard.write(yard.first(PLAIN) + yard.other())
    yard.reload()
    bad = "42" * 256  # whatever comes out of it has no padding
    answer = yard.asker().premaster(key_id(pki.rsa[1]), bad)
    assert answer[0] == "ok"
    path = os.path.join(server.folder, "group.secret")
    os.rename(path, path + ".away")
    if again == "start":
        server.stop()
        yard.site.daemons.remove(server)
        done = subprocess.run([program("keyless-server"), "-c", server.config], capture_output=True, text=True, timeout=60 * SLOW)
        assert done.returncode == 2 and re.search(r"group\.secret: no such file; it is made at the first start only, .*audit/\S+ is there",
                                                  done.stderr), done.stderr
        done = subprocess.run([program("keyless-server"), "-t", "-c", server.config], capture_output=True, text=True, timeout=60 * SLOW)
        assert done.returncode == 2 and "a start makes" not in done.stdout and "group.secret: no such file" in done.stderr, done
    else:
        since = server.mark()
        if again != "reload":
            os.kill(server.children()["keyless-loader"], signal.SIGKILL)
            server.wait_log(r"event=child_started role=loader", since)
        line, _, _ = yard.reload(r"event=reload_failed")
        assert "group.secret: no such file, and none is made while the key server runs; put the copy " in line, line
        assert yard.asker().premaster(key_id(pki.rsa[1]), bad) == answer
    assert not os.path.exists(path)
    os.rename(path + ".away", path)
    if again == "start":
        yard.server = yard.site.restart_server(server.folder, server.identity, server.config)
    else:
        yard.reload(r"event=reloaded")
    assert yard.asker().premaster(key_id(pki.rsa[1]), bad) == answer


def test_a_reload_reads_only_the_key_files_that_have_changed(yard):
    """However many there are: what a revocation takes does not depend on them."""
    keys = os.path.join(yard.server.folder, "keys")
    time.sleep(0.2)
    yard.reload(r"event=reloaded")  # files that were written a moment before the start are read once more, to be sure
    yard.write(yard.first())
    line, _, _ = yard.reload(r"event=reloaded")
    assert "loaded=0 kept=2 removed=0 keys=2" in line
    yard.site.add_key(keys, yard.pki.ed25519[0])
    time.sleep(0.2)
    line, _, _ = yard.reload(r"event=reloaded")
    assert "loaded=1 kept=2 removed=0 keys=3" in line
    os.remove(os.path.join(keys, "p256.key"))
    line, _, _ = yard.reload(r"event=reloaded")
    assert "loaded=0 kept=2 removed=1 keys=2" in line


def test_a_key_that_is_served_is_not_lost_to_a_bad_file(yard):
    asker, key, keys = yard.asker(), key_id(yard.pki.p256[1]), os.path.join(yard.server.folder, "keys")
    write(os.path.join(keys, "new.key"), "nonsense\n", 0o400)
    os.chmod(os.path.join(keys, "p256.key"), 0o644)
    yard.write(yard.first("ops=sign_tls12") + yard.other())
    line, since, _ = yard.reload(r"event=reload_failed")
    assert "new.key, p256.key" in line
    assert {"new.key", "p256.key"} == set(re.findall(r"event=key_unusable file=(\S+)",
                                                     "\n".join(yard.server.find("event=key_unusable", since))))
    assert asker.ask("sign_tls13", key, P256, HASH)[0] == "ok"  # neither the keys nor the rights have changed
    os.chmod(os.path.join(keys, "p256.key"), 0o400)
    os.remove(os.path.join(keys, "new.key"))
    yard.reload(r"event=reloaded")
    assert asker.ask("sign_tls13", key, P256, HASH)[0] == "refused"


def test_a_vault_that_is_killed_is_back_without_reading_a_file(yard):
    asker, key, keys = yard.asker(), key_id(yard.pki.p256[1]), os.path.join(yard.server.folder, "keys")
    os.remove(os.path.join(keys, "p256.key"))
    since = yard.server.mark()
    os.kill(next(pid for name, pid in yard.server.children().items() if "vault" in name), signal.SIGKILL)
    yard.server.wait_log(r"event=vault_ready cause=restart", since)
    yard.server.wait_log(r"event=sandbox", since)
    assert not yard.server.find("event=key_", since)
    until = time.monotonic() + 10 * SLOW
    while asker.ask("sign_tls13", key, P256, HASH)[0] != "ok":  # the net process may be told a moment later
        assert time.monotonic() < until


def test_a_loader_that_is_killed_disturbs_nobody_and_a_reload_follows(yard):
    asker, key = yard.asker(), key_id(yard.pki.p256[1])
    since = yard.server.mark()
    os.kill(next(pid for name, pid in yard.server.children().items() if "loader" in name), signal.SIGKILL)
    yard.server.wait_log(r"event=child_died role=loader", since)
    assert asker.ask("sign_tls13", key, P256, HASH)[0] == "ok"
    yard.reload(r"event=reloaded")
    assert asker.ask("sign_tls13", key, P256, HASH)[0] == "ok"


@pytest.mark.parametrize("spoil", ["line", "mode", "config", "folder"])
def test_what_is_bad_changes_nothing(yard, spoil):
    asker, key = yard.asker(), key_id(yard.pki.p256[1])
    folder = yard.server.folder
    yard.write(yard.other())  # taken by itself, this would remove the first edge
    if spoil == "line":
        yard.write(yard.other() + "nonsense\n")
    elif spoil == "mode":
        os.chmod(os.path.join(folder, "authorized_edges"), 0o644)
    elif spoil == "config":
        with open(yard.server.config, "a") as handle:
            handle.write("orign = 5\n")
    else:
        os.rename(os.path.join(folder, "keys"), os.path.join(folder, "elsewhere"))
    since = yard.server.mark()
    yard.server.send_signal(signal.SIGHUP)
    line = yard.server.wait_log("event=reload_failed", since)
    assert re.search('error="', line)
    assert asker.ask("sign_tls13", key, P256, HASH)[0] == "ok"
    assert yard.asker(second=True).ask("sign_tls13", key, P256, HASH)[0] == "ok"
    assert not yard.server.find("event=edge_disconnected edge=first")


def test_a_restarted_net_process_goes_by_the_list_that_counts_not_by_the_file(yard):
    """The file may be half-way through an edit when something dies."""
    yard.write("nonsense\n")
    since = yard.server.mark()
    net = next(pid for name, pid in yard.server.children().items() if "net" in name)
    os.kill(net, signal.SIGKILL)
    yard.server.wait_log(r"event=child_started role=net", since)
    yard.server.wait_log(r"event=vault_ready", since)
    assert yard.asker().ask("sign_tls13", key_id(yard.pki.p256[1]), P256, HASH)[0] == "ok"


def test_an_edge_that_leaves_before_its_answers_is_logged_as_one_that_left(yard):
    """Its channel has ended when they are to be sent, in the same turn: that is its reason, not that they could not be."""
    since = yard.server.mark()
    assert yard.asker().line("leave").startswith("closed")
    line = yard.server.wait_log("event=edge_disconnected edge=first .*", since)
    assert "reason=closed requests=1 " in line, line


def test_a_folder_of_keys_that_is_empty_takes_no_key_away(yard):
    """As one looks whose disk is not mounted."""
    server, pki = yard.server, yard.pki
    keys, asker = os.path.join(server.folder, "keys"), yard.asker()
    os.rename(keys, keys + ".away")
    os.mkdir(keys, 0o700)
    line, _, _ = yard.reload(r"event=reload_failed")
    assert re.search(r"/keys: holds no key any more, and nothing has changed; put the keys back .*to take the last key away, stop the key server", line), line
    assert asker.ask("sign_tls13", key_id(pki.p256[1]), P256, HASH)[0] == "ok"
    os.rmdir(keys)
    os.rename(keys + ".away", keys)
    yard.reload(r"event=reloaded")
    os.remove(os.path.join(keys, "rsa.key"))  # one of two is meant
    yard.reload(r"event=reloaded .*removed=1 keys=1")


@pytest.mark.parametrize("left, said", [("nothing", r"keys: holds no key; put private keys there"),
                                        ("a bad file", r"keys: (none of its 1 key files can be used|1 of 1 key files cannot be used)")])
def test_a_start_without_any_key_is_refused_as_its_trial_is(yard, left, said):
    server, keys = yard.server, os.path.join(yard.server.folder, "keys")
    server.stop()
    yard.site.daemons.remove(server)
    for name in os.listdir(keys):
        os.remove(os.path.join(keys, name))
    if left != "nothing":
        write(os.path.join(keys, "new.key"), "nonsense\n", 0o400)
    for option in ["-t"], []:
        done = subprocess.run([program("keyless-server"), *option, "-c", server.config], capture_output=True, text=True, timeout=60 * SLOW)
        assert done.returncode == 2 and re.search(said, done.stderr), (option, done.stderr)


@pytest.mark.parametrize("text", ["", "\ufeff \n\n"])
def test_a_list_of_edges_that_is_emptied_lets_nobody_go(yard, text):
    """But a start takes it: the lines come with the first edges."""
    asker, key, server = yard.asker(), key_id(yard.pki.p256[1]), yard.server
    since = server.mark()
    os.kill(server.children()["keyless-loader"], signal.SIGKILL)  # whoever reads keys knows nothing of before
    server.wait_log(r"event=child_started role=loader", since)
    yard.write(text)
    line, _, _ = yard.reload(r"event=reload_failed")
    assert re.search(r"authorized_edges: is empty, and nothing has changed; put its lines back, then reload; to let every edge go, "
                     r"leave a comment in it, like: # nobody", line), line
    assert asker.ask("sign_tls13", key, P256, HASH)[0] == "ok"
    server.stop()
    yard.site.daemons.remove(server)
    yard.server = yard.site.restart_server(server.folder, server.identity, server.config)
    yard.server.wait_log("event=ready")
    yard.reload(r"event=reloaded")  # it was empty before


def test_a_list_of_edges_that_says_nobody_lets_everybody_go(yard):
    yard.asker()
    yard.write("".join("#" + line for line in (yard.first() + yard.other()).splitlines(True)))
    yard.reload(r"event=edges_loaded before=2 now=0")


@pytest.mark.parametrize("stays", [True, False])
def test_a_handshake_that_a_reload_finds_unfinished_goes_on_if_the_edge_may_stay(site, pki, origin, stays):
    """The relay holds the edge's last step back until the reload is done."""
    yard = Yard(site, pki)
    server, relay = yard.server, Relay(yard.server.host, yard.server.port, delay=1)
    edge = site.start_edge([(relay.address, server.identity.public)], [pki.p256[1]], origin.address, tls="tickets = off", ready=False)
    wait_until(lambda: relay.tapes and relay.tapes[0][1], "the key server's step")
    relay.stall()
    steps = [len(tape) for tape in relay.tapes[0]]
    if not stays:
        yard.write(yard.other())
    _, since, _ = yard.reload()
    if not stays:
        server.wait_log(r'warn .*event=edge_dropped reason=unknown .* hint="add a line with this key', since)
        assert server.admin.metric('keyless_server_connections_dropped_total{.*reason="unknown"') == 1
    assert [len(tape) for tape in relay.tapes[0]] == steps
    relay.resume()
    if stays:
        edge.wait_grants()
        assert len(relay.tapes) == 1 and not server.find("event=edge_dropped")
    else:
        wait_until(lambda: len(relay.tapes) > 1, "another attempt of the edge")
        assert not server.find("event=edge_connected")
    relay.close()
    edge.stop()
