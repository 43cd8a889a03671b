"""Configurations of OpenSSL that leave it without what a key server needs: said as that, and no good key file is called damaged.
One that asks for stronger keys than some certificates have: the edge serves with the others."""
import os
import subprocess

import pytest

import clients
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


@pytest.fixture
def hardened(tmp_path, monkeypatch):
    """What starts from here on has OpenSSL's security level 3, which RSA 2048 is too weak for."""
    openssl_conf = tmp_path / "hardened.cnf"
    openssl_conf.write_text("openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n"
                            "[all]\nCipherString = DEFAULT:@SECLEVEL=3\n")
    return lambda: monkeypatch.setenv("OPENSSL_CONF", str(openssl_conf))


TOO_WEAK = "its key is too weak for OpenSSL's security level 3 (ee key too small)"


def test_a_certificate_too_weak_for_the_security_level_is_skipped_and_the_others_serve(site, pki, origin, hardened):
    server = site.start_server([pki.rsa[0], pki.p256[0]])
    hardened()
    edge = site.start_edge([server], [pki.rsa[1], pki.p256[1]], origin.address)
    line = edge.wait_log("event=certificate_skipped .*")
    assert TOO_WEAK in line and os.path.basename(pki.rsa[1]) in line, line
    assert edge.admin.metric("keyless_edge_certificates_skipped") == 1
    assert b"from the origin" in clients.fetch(edge, "p256.test", clients.context(pki.ca))


def test_the_edges_test_and_check_name_what_is_too_weak_and_the_mend_helps(site, pki, hardened):
    hardened()
    servers = [("127.0.0.1:1", site.server_folder([pki.rsa[0]])[0].public)]
    config = site.edge_config(servers, [pki.rsa[1], pki.p256[1]], "127.0.0.1:1")
    for command in ([program("keyless-edge"), "-t", "-c", config], [program("keyless"), "check", "--edge", config]):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and TOO_WEAK in done.stdout + done.stderr, done
    lowered = site.edge_config(servers, [pki.rsa[1], pki.p256[1]], "127.0.0.1:1",
                               tls='ciphers = "DEFAULT:@SECLEVEL=2"')
    done = subprocess.run([program("keyless-edge"), "-t", "-c", lowered], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_edge_with_nothing_but_too_weak_certificates_does_not_start(site, pki, hardened):
    hardened()
    config = site.edge_config([("127.0.0.1:1", site.server_folder([pki.rsa[0]])[0].public)], [pki.rsa[1]], "127.0.0.1:1")
    done = subprocess.run([program("keyless-edge"), "-c", config], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and TOO_WEAK in done.stderr and "no usable certificate" in done.stderr, done.stderr
