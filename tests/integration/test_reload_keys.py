"""SIGHUP at the key server: keys and the group secret come and go, none is lost by a mistake, and none that has gone stays in memory."""
import base64
import os
import re
import signal
import subprocess
import time

import pytest

import keysearch
from daemon import SLOW, program, wait_until
from fleet import write
from pki import key_id, openssl
from reload_yard import HASH, P256, Yard


@pytest.fixture
def yard(site, pki):
    made = Yard(site, pki)
    yield made
    made.close()


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
