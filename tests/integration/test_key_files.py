"""Files that are not what a daemon reads: `keyless check`, `-t` and a start say alike what is wrong and the command that mends it,
and the command does."""
import os
import re
import subprocess

import pytest

from command import read, run
from daemon import Daemon, program
from fleet import write
from pki import openssl


def make(path, *command, mode=0o400):
    openssl(*command, "-out", path)
    os.chmod(path, mode)


def text(path, content, mode=0o400):
    with open(path, "wb") as handle:
        handle.write(content)
    os.chmod(path, mode)


def of(path):
    with open(path, "rb") as handle:
        return handle.read()


def explicit(path, pki):
    make(path, "ec", "-in", pki.p256[0], "-param_enc", "explicit")


def explicit_certificate(path, pki):
    key = path + "-key"
    explicit(key, pki)
    make(path, "req", "-new", "-x509", "-key", key, "-subj", "/CN=x.test", "-days", "9", mode=0o444)
    os.remove(key)


def bundle(path, pki):
    make(path, "pkcs12", "-export", "-inkey", pki.p256[0], "-in", pki.p256[1], "-passout", "pass:")


def pem(path, pki, *command, certificate=True, **mode):
    make(path, *command, pki.p256[1] if certificate else pki.p256[0], **mode)


def below(path, content, mode=0o400):
    os.makedirs(os.path.dirname(path))
    text(path, content, mode)


PASS = ("-passin", "pass:")
# Name of the file; what makes it; level, and what is said of it; whether the command that is said makes a key that is taken.
KEY_FILES = {
    "two keys": ("x.pem", lambda path, pki: text(path, of(pki.p256[0]) + of(pki.p384[0])), "error", r"holds 2 private keys.*csplit", True),
    "a key twice": ("x.pem", lambda path, pki: text(path, of(pki.p256[0]) * 2), "error", r"holds 2 private keys", False),
    "explicit curve": ("x.pem", explicit, "error", r"its curve is spelled out.*openssl ec ", True),
    "PKCS12 by its name": ("x.p12", bundle, "warning", r"is a PKCS #12 key store; run: openssl pkcs12", True),
    "PKCS12 of Windows": ("x.pfx", bundle, "warning", r"is a PKCS #12 key store; run: openssl pkcs12", True),
    "PKCS12 as PEM": ("x.pem", bundle, "error", r"is a PKCS #12 key store; run: openssl pkcs12", True),
    "Java key store": ("x.key", lambda path, _: text(path, b"\xfe\xed\xfe\xed\0\0\0\2"), "error", r"is a Java key store; run: keytool", False),
    "UTF-16": ("x.pem", lambda path, pki: text(path, read(pki.p256[0]).encode("utf-16")), "error", r"is text in UTF-16; run: .*iconv", True),
    "certificate": ("x.pem", lambda path, pki: pem(path, pki, "x509", "-in"), "error", r"holds no private key, but a certificate; ", False),
    "trusted certificate": ("x.pem", lambda path, pki: pem(path, pki, "x509", "-trustout", "-in"), "error", r"but a TRUSTED CERTIFICATE; ", False),
    "PKCS7": ("x.pem", lambda path, pki: pem(path, pki, "crl2pkcs7", "-nocrl", "-certfile"), "error", r"but a PKCS #7 bundle of certificates; ", False),
    "certificate in DER": ("x.der", lambda path, pki: pem(path, pki, "x509", "-outform", "der", "-in"), "error", r"but a certificate or public key in DER; ", False),
    "request": ("x.pem", lambda path, pki: pem(path, pki, "req", "-new", "-subj", "/CN=x", "-key", certificate=False), "error", r"but a request for a certificate; ", False),
    "public key": ("x.key", lambda path, pki: pem(path, pki, "pkey", "-pubout", "-in", certificate=False), "error", r"but a public key; ", False),
    "key of SSH": ("x.key", lambda path, _: text(path, b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"), "error", r"holds a key of SSH", False),
    "cut off": ("x.pem", lambda path, pki: text(path, of(pki.p256[0])[:100]), "error", r"damaged or cut off; take it from a backup", False),
    "empty": ("x.pem", lambda path, _: text(path, b""), "error", r"is empty; put the key here", False),
    "name without an extension": ("x", lambda path, pki: text(path, of(pki.p256[0])), "warning", r"is not read, .*run: mv \S+/x \S+/x\.pem", True),
    "PKCS12 in BER": ("x.PFX", lambda path, _: text(path, b"\x30\x80\2\1\3\x30\x80"), "warning", r"is a PKCS #12 key store; run: openssl pkcs12", False),
    "key store by its name alone": ("x.jks", lambda path, _: text(path, b"whatever"), "warning", r"is a Java key store; run: keytool", False),
    "too deep": ("a/b/c/d/x.pem", lambda path, pki: below(path, of(pki.p256[0])), "warning", r"a/b/c/d: this folder lies more than 3 folders below that of keys", False),
    "same key in two files": ("x.pem", lambda path, pki: (text(path, of(pki.p256[0])), text(path[:-5] + "y.key", of(pki.p256[0]))), "error",
                              r"keys/y\.key: the same key as x\.pem; remove one of the two files", False),
}


def certificates(*parts):
    return lambda path, pki: text(path, b"".join(part(pki) for part in parts), 0o444)


def other_form(*command):
    return lambda pki: openssl(*command, pki.p256[1])


def leaf(pki):
    return re.search(b"-----BEGIN CERT.*?-----END CERTIFICATE-----\n", of(pki.p256[1]), re.S).group(0)


def issuer(pki):
    return of(pki.ca)


CERTIFICATE_FILES = {
    "leaf alone": ("x.pem", certificates(leaf), "warning", r"the issuer's certificate is missing.*fullchain", False),
    "reversed": ("x.pem", certificates(issuer, leaf), "error", r"certificate 1 is the issuer of certificate 2; put the leaf first", False),
    "trusted": ("x.pem", certificates(other_form("x509", "-trustout", "-in")), "error", r"holds a TRUSTED CERTIFICATE.*run: openssl x509", True),
    "trusted before its issuer": ("x.pem", certificates(other_form("x509", "-trustout", "-in"), issuer), "error",
                                  r"holds a TRUSTED CERTIFICATE.*beside others.*run: openssl crl2pkcs7", True),
    "PKCS7": ("x.pem", certificates(other_form("crl2pkcs7", "-nocrl", "-certfile")), "error", r"is a PKCS #7 bundle.*run: openssl pkcs7", True),
    "PKCS7 before its issuer": ("x.pem", certificates(other_form("crl2pkcs7", "-nocrl", "-certfile"), issuer), "error", r"is a PKCS #7 bundle", True),
    "DER": ("x.cer", certificates(other_form("x509", "-outform", "der", "-in")), "error", r"looks like DER.*run: openssl x509", True),
    "UTF-16": ("x.pem", lambda path, pki: text(path, read(pki.p256[1]).encode("utf-16"), 0o444), "error", r"is text in UTF-16.*run: iconv", True),
    "PKCS7 by its name": ("x.p7b", certificates(other_form("crl2pkcs7", "-nocrl", "-certfile")), "warning", r"is a PKCS #7 bundle.*run: openssl pkcs7", True),
    "PKCS7 in DER": ("x.P7C", certificates(other_form("crl2pkcs7", "-nocrl", "-outform", "der", "-certfile")), "warning",
                     r"is a PKCS #7 bundle.*run: openssl pkcs7 -inform der", True),
    "DER by its name": ("x.der", certificates(other_form("x509", "-outform", "der", "-in")), "warning", r"looks like DER.*run: openssl x509", True),
    "DER by its contents": ("x", certificates(other_form("x509", "-outform", "der", "-in")), "warning", r"looks like DER.*run: openssl x509", True),
    "another extension": ("x.chain", certificates(leaf, issuer), "warning", r"is not read, since its name ends in none of .*run: mv ", True),
    "no extension": ("x", certificates(leaf, issuer), "warning", r"is not read, since its name ends in none of .*run: mv ", True),
    "backup of an editor": ("x.pem~", certificates(leaf, issuer), "warning", r"is not read, since its name ends in none of .*run: mv ", True),
    "by its name alone": ("x.p7b", lambda path, _: text(path, b"whatever"), "warning", r"no PEM certificate in it", False),
    "too deep": ("a/b/c/d/x.pem", lambda path, pki: below(path, of(pki.p256[1]), 0o444), "warning", r"lies more than 3 folders below that of certificates", False),
    "a folder that is too deep": ("a/b/c/d/e/f/g/h/i/x.pem", lambda path, pki: below(path, of(pki.p256[1]), 0o444), "warning",
                                  r"g/h/i: this folder is too deep below that of certificates", False),
    "explicit curve": ("x.pem", explicit_certificate, "error", r"the curve of its key is spelled out", False),
}
SIDES = {"server": ("keys", KEY_FILES), "edge": ("certs", CERTIFICATE_FILES)}


def prepare(trial, pki, side, name):
    """Puts the file there; the configuration, and the words that are to be said of it."""
    folder, files = SIDES[side]
    file, act, level, said, mends = files[name]
    path = os.path.join(getattr(trial, side), folder, file)
    act(path, pki)
    conf = getattr(trial, side + "_conf")
    write(conf, re.sub(r"(listen = ).*", r'\1{"127.0.0.1:0"}', read(conf)))
    return conf, path, level, said, mends


def what_is_said(line):
    """The fault in a line of the log or of check, as it was written."""
    quoted = re.search(r'(?:error|hint)="(.*)"', line)
    return quoted.group(1) if quoted else re.sub(r"^(error +|warning +|keyless-\w+: )", "", line)


@pytest.mark.parametrize("side, name", [(side, name) for side, (_, files) in SIDES.items() for name in files])
def test_a_file_is_judged_alike(trial, pki, side, name):
    conf, path, level, said, mends = prepare(trial, pki, side, name)
    tested = subprocess.run([program("keyless-" + side), "-t", "-c", conf], capture_output=True, text=True, timeout=60)
    assert tested.returncode == (2 if level == "error" else 0), tested.stderr
    at_test = re.search(".*" + said + ".*", tested.stderr).group(0)
    checked = run("check", "-c", conf)
    assert checked.returncode == (1 if level == "error" else 0), checked.stdout
    found = re.search("^%s +.*%s.*" % (level, said), checked.stdout, re.M)
    assert found, checked.stdout
    daemon = Daemon([program("keyless-" + side), "-c", conf])
    try:
        at_start = daemon.wait_log(said)
    finally:
        daemon.stop()
    words = what_is_said(at_test)
    assert words == what_is_said(at_start)
    assert words in found.group(0) and os.path.dirname(path) in found.group(0)
    if mends:
        mend(conf, path, words, side)


def mend(conf, path, words, side):
    """Does what the fault says, with no passphrase to give."""
    command = re.search(r"run: (.*?)(?:, and take this file away|, or take it away|$)", words).group(1)
    command = command.replace("openssl pkcs12 ", "openssl pkcs12 -passin pass: ")
    subprocess.run(command, shell=True, check=True, capture_output=True, timeout=60)
    if "take this file away" in words:
        os.remove(path)
    tested = subprocess.run([program("keyless-" + side), "-t", "-c", conf], capture_output=True, text=True, timeout=60)
    assert tested.returncode == 0 and "_ignored" not in tested.stderr, tested.stderr


def test_a_byte_order_mark_is_passed_over(trial, pki):
    """As it is in configuration files: Windows puts it before what was PEM."""
    for path, source in ((trial.server + "/keys/x.pem", pki.p384[0]), (trial.edge + "/certs/x.pem", pki.p384[1])):
        text(path, b"\xef\xbb\xbf" + of(source))
    for path in (trial.server + "/identity.key", trial.server + "/authorized_edges", trial.edge + "/psk"):
        content = of(path)
        os.remove(path)
        text(path, b"\xef\xbb\xbf" + content)
    for side, conf in (("server", trial.server_conf), ("edge", trial.edge_conf)):
        done = subprocess.run([program("keyless-" + side), "-t", "-c", conf], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and " error " not in done.stderr, done.stderr


# ---- what is read, and what is passed over without a word ----

@pytest.mark.parametrize("name", ["x.PEM", "x.Crt", "x.CER"])
def test_an_extension_in_capitals_is_one(trial, pki, name):
    """On both sides, and when `keyless init` copies."""
    text(trial.edge + "/certs/" + name, of(pki.p384[1]), 0o444)
    assert "x.test" not in name and re.search(r"OK: 4 certificates", daemon_test("edge", trial.edge_conf).stdout)
    text(trial.server + "/keys/x.KEY", of(pki.p384[0]))
    assert re.search(r"4 keys", daemon_test("server", trial.server_conf).stdout)


def daemon_test(side, conf):
    done = subprocess.run([program("keyless-" + side), "-t", "-c", conf], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "_ignored" not in done.stderr, done.stderr
    return done


def test_what_is_no_certificate_is_passed_over(trial, pki):
    certs, keys = trial.edge + "/certs", trial.server + "/keys"
    for folder, good in ((certs, pki.p256[1]), (keys, pki.p256[0])):
        text(folder + "/README", b"put certificates here\n")
        text(folder + "/01-notes.txt", b"0123456789" * 9)
        text(folder + "/.hidden.p7b", b"whatever")
        text(folder + "/x.csr", openssl("req", "-new", "-subj", "/CN=x", "-key", pki.p256[0]))
        os.mkdir(folder + "/.below")
        text(folder + "/.below/x.p7b", b"whatever")
        os.mkdir(folder + "/live")
    for name in ("cert.pem", "chain.pem", "fullchain.pem"):  # as ACME clients lay them out
        text(certs + "/live/" + name, of(pki.p384[1]), 0o444)
        text(keys + "/live/" + name, of(pki.p384[1]), 0o444)
    text(keys + "/live/privkey.pem", of(pki.p384[0]))
    for side, conf in (("edge", trial.edge_conf), ("server", trial.server_conf)):
        daemon_test(side, conf)
        assert not re.search("^(warning|error) .*(README|notes|hidden|csr|below|live/(cert|chain))", run("check", "-c", conf).stdout, re.M)


def test_what_is_passed_over_is_counted(trial, pki):
    certificates(other_form("crl2pkcs7", "-nocrl", "-certfile"))(trial.edge + "/certs/x.p7b", pki)
    write(trial.edge_conf, re.sub(r"(listen = ).*", r'\1{"127.0.0.1:0"}', read(trial.edge_conf)))
    daemon = Daemon([program("keyless-edge"), "-c", trial.edge_conf])
    try:
        daemon.wait_log("event=certificate_ignored .*x.p7b")
        daemon.wait_log("event=admin_listening")
        assert "1 skipped (`keyless check` says why)" in run("status", "unix:%s/admin.sock" % trial.edge).stdout
    finally:
        daemon.stop()


def test_more_files_than_are_looked_at_are_said(trial, pki):
    for number in range(300):
        text("%s/keys/x%03d.txt" % (trial.server, number), b"no key\n")
    done = subprocess.run([program("keyless-server"), "-t", "-c", trial.server_conf], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and re.search(r"event=key_file_ignored .*keys: 44 files .* are not looked at", done.stderr), done.stderr
