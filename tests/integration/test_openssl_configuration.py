"""Configurations of OpenSSL that leave it without what a key server needs: said as that, and no good key file is called damaged."""
import os
import subprocess

import pytest

from daemon import program

CONFIGURATIONS = {
    "another provider alone": "[init]\nproviders = list\n[list]\nlegacy = one\n[one]\nactivate = 1\n",
    "a provider that is missing": "[init]\nproviders = list\n[list]\nabsent = one\n[one]\nactivate = 1\nmodule = /nowhere.so\n",
    "a property that nobody has": "[init]\nalg_section = algorithms\n[algorithms]\ndefault_properties = fips=yes\n",
}


def start(config, openssl_conf, *options):
    return subprocess.run([program("keyless-server"), "-c", config, *options], env={**os.environ, "OPENSSL_CONF": str(openssl_conf)},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("options", [(), ("-t",)], ids=["start", "test"])
@pytest.mark.parametrize("which", CONFIGURATIONS)
def test_what_openssl_lacks_is_said_with_its_configuration(site, pki, tmp_path, which, options):
    openssl_conf = tmp_path / "openssl.cnf"
    openssl_conf.write_text("openssl_conf = init\n" + CONFIGURATIONS[which])
    _, config, _ = site.server_folder([pki.rsa[0], pki.p256[0]])
    done = start(config, openssl_conf, *options)
    assert done.returncode == 2, done.stderr
    assert "OpenSSL has no " in done.stderr and str(openssl_conf) in done.stderr and "activate = 1" in done.stderr
    for lie in ("damaged", "backup", "not authentic", "key_skipped"):
        assert lie not in done.stderr, done.stderr


def test_another_provider_beside_the_default_one_is_nobodys_business(site, pki, tmp_path):
    openssl_conf = tmp_path / "openssl.cnf"
    openssl_conf.write_text("openssl_conf = init\n[init]\nproviders = list\n[list]\ndefault = one\nlegacy = one\n[one]\nactivate = 1\n")
    _, config, _ = site.server_folder([pki.rsa[0], pki.p256[0]])
    done = start(config, openssl_conf, "-t")
    assert done.returncode == 0, done.stderr
