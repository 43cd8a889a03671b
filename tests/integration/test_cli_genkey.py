"""keyless genkey and pubkey: the keys that they make, and which files they take."""
import base64
import json
import os
import re
import subprocess

import pytest

from command import mode, read, run
from daemon import program
from fleet import keyless, write
from pki import openssl

SECRET = re.compile(r"\A[A-Za-z0-9+/]{43}=\n\Z")


def test_genkey_pipes_into_pubkey():
    secret = keyless("genkey").stdout
    assert SECRET.match(secret) and secret != keyless("genkey").stdout
    public = keyless("pubkey", input=secret).stdout
    assert SECRET.match(public) and public != secret


def test_pubkey_is_x25519_base_point_multiplication():
    """What OpenSSL makes of the same 32 bytes."""
    secret = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4b2c8b6b1f1f4b0a1cfcf7a6f6a4a4")
    der = bytes.fromhex("302e020100300506032b656e04220420") + secret
    public = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", input=der)[-32:]
    assert base64.b64decode(keyless("pubkey", input=base64.b64encode(secret).decode() + "\n").stdout) == public


def test_genkey_file_is_closed_and_never_overwritten(tmp_path):
    path = tmp_path / "identity.key"
    assert keyless("genkey", path).stdout == ""
    assert mode(path) == 0o400 and SECRET.match(path.read_text())
    assert keyless("pubkey", path).stdout == keyless("pubkey", input=path.read_text()).stdout
    before = path.read_text()
    again = run("genkey", path)
    assert again.returncode == 1 and str(path) in again.stderr and path.read_text() == before


def test_pubkey_reads_a_file_of_its_group_where_that_is_said(tmp_path):
    """As of a Kubernetes secret with fsGroup, whose mode nobody in the pod can change."""
    path = tmp_path / "identity.key"
    keyless("genkey", path)
    public = keyless("pubkey", path).stdout
    os.chmod(path, 0o440)
    refused = run("pubkey", path)
    assert refused.returncode == 2 and refused.stderr.rstrip().endswith("keyless pubkey --group %s" % path), refused.stderr
    assert keyless("pubkey", "--group", path).stdout == public
    os.chmod(path, 0o444)
    refused = run("pubkey", "--group", path)
    assert refused.returncode == 2 and "chmod 0400" in refused.stderr and "--group" not in refused.stderr


def test_genkey_closes_a_file_it_is_redirected_to(tmp_path):
    path = tmp_path / "psk"
    with open(path, "w") as handle:
        os.chmod(path, 0o644)
        subprocess.run([program("keyless"), "genkey"], stdout=handle, check=True)
    assert mode(path) == 0o400


def test_genkey_and_pubkey_json(tmp_path):
    made = json.loads(keyless("genkey", "--json").stdout)
    assert keyless("pubkey", input=made["secret"] + "\n").stdout.strip() == made["public_key"]
    filed = json.loads(keyless("genkey", "--json", tmp_path / "identity.key").stdout)
    assert filed == json.loads(keyless("pubkey", "--json", tmp_path / "identity.key").stdout)
    assert list(filed) == ["public_key"]


@pytest.mark.parametrize("text", ["", "\n", "abc\n", "A" * 43 + "\n", "A" * 44 + "\n", "A" * 43 + "==\n", "!" * 43 + "=\n"])
def test_pubkey_refuses_what_is_no_key(text):
    done = run("pubkey", input=text)
    assert done.returncode == 2 and "keyless genkey" in done.stderr and not done.stdout


def test_pubkey_refuses_a_file_that_others_can_read(tmp_path):
    path = write(tmp_path / "identity.key", keyless("genkey").stdout, 0o644)
    done = run("pubkey", path)
    assert done.returncode == 2 and "chmod 0400 %s" % path in done.stderr
    assert read(path).strip() not in done.stderr
