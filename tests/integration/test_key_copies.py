"""A copy of a key file in the folder of keys: the key stays under the name that its owner wrote the rules for."""
import os
import re
import shutil
import subprocess

import pytest

from daemon import program
from fleet import keyless, write
from pki import key_id, openssl
from reload_yard import HASH, P256, SIGN, Yard
from test_quotas import stay_in_one_day

SECTION = 'key p256 {\n operations = { "sign_tls13" }\n quota = "5/d"\n}\n'
QUOTA = 5


@pytest.fixture
def yard(site, pki):
    stay_in_one_day(60)  # a quota of a day begins anew at midnight
    made = Yard(site, pki, SECTION)
    made.write(made.first() + made.other(SIGN + " keys=p256"))
    _, since, _ = made.reload(r"event=reloaded")
    made.server.wait_log("event=edges_loaded", since)  # by another process: whose line comes first is nobody's promise
    yield made
    made.close()


def granted(yard, asks, second=False):
    asker = yard.asker(second)
    return sum(asker.ask("sign_tls13", key_id(yard.pki.p256[1]), P256, HASH)[0] == "ok" for _ in range(asks))


def put_copy(yard, name, *form):
    keys = os.path.join(yard.server.folder, "keys")
    os.makedirs(os.path.dirname(os.path.join(keys, name)), mode=0o700, exist_ok=True)
    if form:
        openssl(*form, "-in", os.path.join(keys, "p256.key"), "-out", os.path.join(keys, name))
    else:
        shutil.copy(os.path.join(keys, "p256.key"), os.path.join(keys, name))
    os.chmod(os.path.join(keys, name), 0o400)


def run_test(yard):
    return subprocess.run([program("keyless-server"), "-t", "-c", yard.server.config], capture_output=True, text=True, timeout=60)


def restart(yard):
    yard.server.stop()
    yard.server = yard.site.restart_server(yard.server.folder, yard.server.identity, yard.server.config)


COPIES = {"old-p256.key": (), "backup/p256.key": (), "p256-2025.der": ("pkey", "-outform", "der")}


@pytest.mark.parametrize("name", COPIES)
def test_the_rules_of_a_key_outlive_a_copy_of_its_file(yard, name):
    """After a reload and after a restart; and every tool says which of the files is too many."""
    assert granted(yard, 2, second=True) == 2
    put_copy(yard, name, *COPIES[name])
    line, since, _ = yard.reload(r"event=(?:reloaded|reload_failed)")
    assert "event=reloaded" in line, line
    skipped = re.escape("keys/%s: the same key as p256.key; remove one of the two files" % name)
    yard.server.wait_log("event=key_skipped .*" + skipped, since)
    assert granted(yard, QUOTA) == QUOTA - 2
    assert granted(yard, 1, second=True) == 0  # the quota, and not its keys=
    yard.server.wait_log("event=request_refused .*edge=other .*reason=quota", since)
    restart(yard)
    yard.server.wait_log("event=key_skipped .*" + skipped)
    assert granted(yard, 1) == 0 and not yard.server.find("key_section_idle")
    test = run_test(yard)
    assert test.returncode == 2 and re.search(skipped, test.stderr), test.stderr
    shown = keyless("check", "-c", yard.server.config, check=False)
    assert shown.returncode == 1 and re.search("(?m)^error .*" + skipped, shown.stdout), shown.stdout
    explained = keyless("check", "-c", yard.server.config, "--explain", "other", "p256", "rsa_master", check=False)
    assert explained.returncode == 4 and "server.conf" in explained.stdout, explained.stdout + explained.stderr


def test_a_key_with_two_sections_is_not_served(yard):
    """A reload does not take it on; a start serves the other keys."""
    put_copy(yard, "other.key")
    text = open(yard.server.config).read()
    write(yard.server.config, text + 'key other { operations = { "sign_tls12", "sign_tls13" } }\n')
    line, since, _ = yard.reload(r"event=(?:reloaded|reload_failed)")
    assert "2 of its files cannot be used (other.key, p256.key), and nothing has changed" in line, line
    assert granted(yard, 1) == 1
    restart(yard)
    assert len(yard.server.find("event=key_skipped .*a section for each of the two names, so the key is not served")) == 2
    assert granted(yard, 1) == 0


def test_a_key_that_gets_another_name_is_told_of(yard):
    keys = os.path.join(yard.server.folder, "keys")
    put_copy(yard, "shop.key")
    yard.reload(r"event=reloaded")
    os.remove(os.path.join(keys, "p256.key"))
    _, since, _ = yard.reload(r"event=reloaded")
    assert yard.server.wait_log(" warn .*event=key_renamed key=shop before=p256", since)
