"""Key files that are encrypted: the passphrase comes from a file or from a credential of systemd's, and nobody is asked for it."""
import os
import re
import signal
import struct
import subprocess
import time

import pytest

from command import read
from daemon import Daemon, program, wait_until
from fleet import keyless, write
from pki import openssl

PHRASE = "correct horse"
FORMS = {
    "PKCS8": ("pkcs8", "-topk8", "-passout", "pass:" + PHRASE),
    "PKCS8 with scrypt": ("pkcs8", "-topk8", "-scrypt", "-passout", "pass:" + PHRASE),
    "PKCS8 in DER": ("pkcs8", "-topk8", "-outform", "DER", "-passout", "pass:" + PHRASE),
    "traditional": ("pkey", "-traditional", "-aes256", "-passout", "pass:" + PHRASE),
}


def encrypted(trial, pki, form="PKCS8", name="locked.pem", key="p384"):
    """A further key of the server, encrypted; the paths of the file and of a passphrase."""
    path, phrase = os.path.join(trial.server, "keys", name), os.path.join(trial.server, "phrase")
    openssl(*FORMS[form], "-in", getattr(pki, key)[0], "-out", path)
    os.chmod(path, 0o400)
    write(phrase, PHRASE + "\n", 0o400)
    return path, phrase


def configure(trial, section):
    write(trial.server_conf, re.sub(r"listen = .*", 'listen = {"127.0.0.1:0"}', read(trial.server_conf)) + section + "\n")


def tried(trial, **options):
    return subprocess.run([program("keyless-server"), "-t", "-c", trial.server_conf], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **options)


def assert_said(trial, pattern, env=None):
    """By -t, by check and by a start."""
    done = tried(trial, env=env)
    assert done.returncode == 2 and re.search(pattern, done.stderr), done.stderr
    checked = subprocess.run([program("keyless"), "check", "-c", trial.server_conf], capture_output=True, text=True, timeout=60, env=env)
    assert checked.returncode == 1 and re.search("^error +.*" + pattern, checked.stdout, re.M), checked.stdout
    daemon = Daemon([program("keyless-server"), "-c", trial.server_conf], env=env)
    try:
        daemon.wait_log("event=key_skipped .*" + pattern)
    finally:
        daemon.stop()


@pytest.mark.parametrize("section", ['key locked { passphrase_file = "phrase" }', 'key_default { passphrase_file = "phrase" }'])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_an_encrypted_key_is_loaded(trial, pki, form, section):
    encrypted(trial, pki, form, "locked.der" if "DER" in form else "locked.pem")
    configure(trial, section)
    done = tried(trial)
    assert done.returncode == 0, done.stderr
    assert keyless("check", "-c", trial.server_conf).stdout.count("\nerror") == 0
    assert PHRASE not in done.stdout + done.stderr


def test_without_a_passphrase_the_configuration_is_named(trial, pki):
    encrypted(trial, pki)
    configure(trial, "")
    assert_said(trial, r"locked\.pem: encrypted, and nobody is asked .* into %s: key 'locked' \{ passphrase_file = " % re.escape(trial.server_conf))


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_wrong_passphrase_is_called_so(trial, pki, form):
    path, phrase = encrypted(trial, pki, form, "locked.der" if "DER" in form else "locked.pem")
    os.remove(phrase)
    write(phrase, "battery staple\n", 0o400)
    configure(trial, 'key locked { passphrase_file = "phrase" }')
    done = tried(trial)
    assert done.returncode == 2 and re.search(r"%s: encrypted, and its passphrase is not that of passphrase_file %s" % (path, phrase), done.stderr)
    assert "battery" not in done.stderr


PHRASES = {
    "open to others": ("%s\n" % PHRASE, 0o644, r"phrase: mode 0644 lets others use it; run: chmod 0400"),
    "two lines": ("%s\nmore\n" % PHRASE, 0o400, r"phrase: more than one line"),
    "empty": ("\n", 0o400, r"phrase: is empty; write the passphrase there"),
    "too long": ("x" * 1024, 0o400, r"phrase: a passphrase has at most 1023 bytes"),
}


@pytest.mark.parametrize("what", sorted(PHRASES))
def test_a_bad_file_of_a_passphrase(trial, pki, what):
    _, phrase = encrypted(trial, pki)
    text, mode, said = PHRASES[what]
    os.remove(phrase)
    write(phrase, text, mode)
    configure(trial, 'key locked { passphrase_file = "phrase" }')
    assert_said(trial, said)
    os.remove(phrase)
    assert re.search(r"phrase: no such file; write the passphrase there", tried(trial).stderr)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_end_of_the_line_is_no_part_of_it(trial, pki, end):
    _, phrase = encrypted(trial, pki)
    os.remove(phrase)
    with open(phrase, "w", newline="") as handle:
        handle.write(PHRASE + end)
    os.chmod(phrase, 0o400)
    configure(trial, 'key locked { passphrase_file = "phrase" }')
    assert tried(trial).returncode == 0


DEAR = {
    "PBKDF2": ("PBKDF2", "i=INTEGER:0x7fffffff", r"encrypted with more than 10000000 iterations .* run .*openssl pkcs8 -topk8 -iter 600000 -in "),
    "scrypt": ("id-scrypt", "n=INTEGER:32768\nr=INTEGER:1\np=INTEGER:131072", r"encrypted with a scrypt of N \* r \* p above 16777216 "),
    "memory of scrypt": ("id-scrypt", "n=INTEGER:1048576\nr=INTEGER:8\np=INTEGER:1", r"encrypted with a scrypt that takes more than 32 MiB "),
}


@pytest.mark.parametrize("what", sorted(DEAR))
def test_a_passphrase_that_would_take_years_is_not_tried(trial, pki, what):
    """A slip at the making of a key file costs that key, and not all of them."""
    path, _ = encrypted(trial, pki, name="locked.der")
    os.remove(path)
    function, numbers, said = DEAR[what]
    form = write(os.path.join(trial.server, "form"), """asn1=SEQUENCE:key
[key]
algorithm=SEQUENCE:pbes2
content=FORMAT:HEX,OCTETSTRING:%s
[pbes2]
name=OID:PBES2
parameters=SEQUENCE:both
[both]
function=SEQUENCE:function
cipher=SEQUENCE:cipher
[function]
name=OID:%s
parameters=SEQUENCE:numbers
[numbers]
salt=FORMAT:HEX,OCTETSTRING:0011223344556677
%s
[cipher]
name=OID:aes-256-cbc
iv=FORMAT:HEX,OCTETSTRING:00112233445566778899aabbccddeeff
""" % ("00" * 256, function, numbers))
    openssl("asn1parse", "-genconf", form, "-noout", "-out", path)
    os.chmod(path, 0o400)
    configure(trial, 'key locked { passphrase_file = "phrase" }')
    assert_said(trial, r"locked\.der: " + said)
    daemon = Daemon([program("keyless-server"), "-c", trial.server_conf])
    try:
        daemon.wait_log("event=ready")
    finally:
        daemon.stop()


def test_a_credential(trial, pki, tmp_path):
    _, phrase = encrypted(trial, pki)
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    os.rename(phrase, folder / "www-phrase")
    configure(trial, 'key locked { passphrase_credential = "www-phrase" }')
    env = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    assert_said(trial, r"passphrase_credential www-phrase: \$CREDENTIALS_DIRECTORY is not set.*LoadCredential=www-phrase:PATH", env)
    assert tried(trial, env={**env, "CREDENTIALS_DIRECTORY": str(folder)}).returncode == 0


def give_to(path, uid):
    """As systemd gives a credential to its unit's user: root's, with a right for that user in its access control list."""
    entries = [(0x01, 4, -1), (0x02, 4, uid), (0x04, 0, -1), (0x10, 4, -1), (0x20, 0, -1)]  # owner, user, group, mask, others
    try:
        os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries))
    except OSError as error:
        pytest.skip("no access control lists here: %s" % error)
    assert os.stat(path).st_mode & 0o777 == 0o440


def test_a_credential_that_systemd_gives_by_an_access_control_list(trial, pki, tmp_path):
    """At the start, and by the loader, which is in its sandbox when it reads the key file anew."""
    key, phrase = encrypted(trial, pki)
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    os.rename(phrase, folder / "www-phrase")
    give_to(folder / "www-phrase", os.geteuid())
    configure(trial, 'key locked { passphrase_credential = "www-phrase" }')
    daemon = Daemon([program("keyless-server"), "-c", trial.server_conf], env={**os.environ, "CREDENTIALS_DIRECTORY": str(folder)})
    try:
        daemon.wait_log("event=key_loaded key=locked")
        daemon.wait_log("event=ready")
        mark = daemon.mark()
        os.utime(key)
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log(r"event=reloaded loaded=[1-4] ", since=mark)
    finally:
        daemon.stop()
    give_to(folder / "www-phrase", os.geteuid() + 4711)
    assert re.search(r"www-phrase: mode 0440 lets others use it", tried(trial, env={**os.environ, "CREDENTIALS_DIRECTORY": str(folder)}).stderr)


@pytest.mark.parametrize("section, said", [
    ('key locked { passphrase_file = "a" passphrase_credential = "b" }', r"key locked: has both passphrase_file and passphrase_credential"),
    ('key_default { passphrase_file = "a" passphrase_credential = "b" }', r"key_default: has both"),
    ('key locked { passphrase_credential = "../b" }', r"passphrase_credential: .*not the name of a credential"),
])
def test_a_contradiction_is_no_configuration(trial, section, said):
    configure(trial, section)
    assert re.search(said, tried(trial).stderr)


def test_another_passphrase_counts_with_another_key_file(trial, pki):
    """A reload reads key files that have changed; the passphrase of one that is loaded is needed no more."""
    path, phrase = encrypted(trial, pki)
    configure(trial, 'key locked { passphrase_file = "phrase" }')
    wait_until(lambda: time.time() > os.stat(path).st_ctime + 0.2, "the file is old enough to be known again")
    daemon = Daemon([program("keyless-server"), "-c", trial.server_conf])
    try:
        daemon.wait_log("event=ready")
        os.remove(phrase)
        since = daemon.mark()
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log(r"event=reloaded .*loaded=0 ", since)
        os.remove(path)
        openssl("pkcs8", "-topk8", "-in", pki.p384[0], "-passout", "pass:other", "-out", path)
        os.chmod(path, 0o400)
        since = daemon.mark()
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log(r"event=reload_failed", since)
        assert daemon.find(r"event=key_unusable .*phrase: no such file", since)
        write(phrase, "other\n", 0o400)
        since = daemon.mark()
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_log(r"event=reloaded .*loaded=1 ", since)
    finally:
        daemon.stop()


@pytest.mark.parametrize("name", ["www.key", 'a"b $x.key', "two\nlines.key"])
def test_init_says_what_an_encrypted_key_needs(tmp_path, pki, name):
    """As a line that the configuration takes, whatever the file is called."""
    given = tmp_path / name
    openssl(*FORMS["PKCS8"], "-in", pki.p256[0], "-out", given)
    done = keyless("init", "--user", "nobody", "--server", "--key", given, tmp_path / "server")
    said = re.search(r" is encrypted: write its passphrase, one line, into (\S+) \(mode 0400\), and into (\S+): (key.*)", done.stderr)
    assert said, done.stderr
    write(said.group(1), PHRASE + "\n", 0o400)
    with open(said.group(2), "a") as handle:
        handle.write(said.group(3) + "\n")
    done = subprocess.run([program("keyless-server"), "-t", "-c", said.group(2)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_replicas_keep_their_passphrases_where_they_like(trial, pki):
    """The digest of the rules is that of rules."""
    encrypted(trial, pki)
    digests = set()
    text = read(trial.server_conf)
    os.link(trial.server + "/phrase", trial.server + "/elsewhere")
    for place in ("phrase", "elsewhere"):
        write(trial.server_conf, text + 'key locked { passphrase_file = "%s" }\n' % place)
        digests.add(re.search(r"rules (\w+)", tried(trial).stdout).group(1))
    assert len(digests) == 1
