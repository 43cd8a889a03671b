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
    "extension in capitals": ("x.PEM", lambda path, pki: text(path, of(pki.p256[0])), "warning", r"is not read, .*run: mv ", True),
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
    assert tested.returncode == 0 and "key_file_ignored" not in tested.stderr, tested.stderr


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
