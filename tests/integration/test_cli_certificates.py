"""keyless check: chains, dates and keys of an edge's certificates."""
import os
import re
import subprocess

import pytest

from command import assert_found, read
from daemon import program
from fleet import keyless, write
from pki import openssl, sign


@pytest.fixture
def chain(tmp_path):
    """root → middle → leaf, by the openssl command; .path(name) and .issue(...)."""
    class Chain:
        def path(self, name):
            return str(tmp_path / name)

        def issue(self, name, issuer=None, days=30, extensions="basicConstraints=CA:TRUE", kind=None):
            kind = kind or ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
            key, cert = self.path(name + ".key"), self.path(name + ".pem")
            openssl("genpkey", *kind, "-out", key)
            write(self.path("ext"), extensions + "\n")
            openssl("req", "-new", "-key", key, "-subj", "/CN=" + name.rstrip("2"), "-out", self.path("csr"))
            if issuer is None:
                openssl("x509", "-req", "-in", self.path("csr"), "-signkey", key, "-extfile", self.path("ext"), "-out", cert)
            else:
                sign(self.path("csr"), self.path(issuer + ".pem"), self.path(issuer + ".key"), cert, self.path("ext"), days,
                     start=min(0, days - 1))
            return cert

        def join(self, trial, *names):
            text = "".join(read(self.path(n + ".pem")) for n in names)
            for name in os.listdir(trial.edge + "/certs"):
                os.unlink(trial.edge + "/certs/" + name)
            write(trial.edge + "/certs/site.pem", text, 0o644)
    made = Chain()
    made.issue("root")
    made.issue("middle", "root")
    made.issue("leaf", "middle", extensions="subjectAltName=DNS:leaf.test")
    return made


def test_check_accepts_a_chain_in_order(trial, chain):
    chain.join(trial, "leaf", "middle", "root")
    assert re.search(r"^ok .*site\.pem: p256 certificate for leaf\.test", keyless("check", "-c", trial.edge_conf).stdout, re.M)


@pytest.mark.parametrize("names", [("leaf", "root", "middle"), ("leaf", "root")])
def test_check_warns_of_a_chain_out_of_order(trial, chain, names):
    chain.join(trial, *names)
    done = keyless("check", "-c", trial.edge_conf)
    assert re.search(r"^warning .*site\.pem: certificate \d did not issue certificate \d; put the leaf first", done.stdout, re.M)


@pytest.mark.parametrize("names", [("middle", "leaf"), ("root", "middle", "leaf"), ("root", "leaf", "middle")])
def test_a_reversed_chain_is_refused_by_test_check_and_start(trial, chain, names):
    chain.join(trial, *names)
    wrong = r"site\.pem: certificate 1 is the issuer of certificate \d; put the leaf first"
    assert_found(trial.edge_conf, wrong)
    for more in ("-t",), ():
        done = subprocess.run([program("keyless-edge"), *more, "-c", trial.edge_conf], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 2 and re.search(wrong, done.stderr), done.stderr


def test_check_finds_an_issuer_of_the_same_name_with_another_key(trial, chain):
    chain.issue("middle2", "root")
    chain.join(trial, "leaf", "middle2")
    assert_found(trial.edge_conf, r"site\.pem: certificate 2 (has the name of the issuer|did not issue)")


def test_check_finds_expiry(trial, chain):
    chain.issue("soon", "middle", days=3, extensions="subjectAltName=DNS:soon.test")
    chain.join(trial, "soon", "middle")
    done = keyless("check", "-c", trial.edge_conf)
    assert re.search(r"^warning .*site\.pem: certificate 1 expires in [23] days; renew it", done.stdout, re.M)


def test_check_draws_the_line_at_two_weeks(trial, chain):
    for days, warns in ((14, True), (15, False)):
        chain.issue("edge", "middle", days=days, extensions="subjectAltName=DNS:edge.test")
        chain.join(trial, "edge", "middle")
        said = keyless("check", "-c", trial.edge_conf).stdout
        assert bool(re.search(r"^warning .*certificate 1 expires in 1[34] days", said, re.M)) == warns


def test_check_finds_an_expired_certificate(trial, chain):
    chain.issue("gone", "middle", days=-1, extensions="subjectAltName=DNS:gone.test")
    chain.join(trial, "gone")
    assert_found(trial.edge_conf, r"site\.pem: expired on \d{4}-\d\d-\d\d; renew it")


def test_check_finds_an_expired_issuer(trial, chain):
    chain.issue("middle", "root", days=-1)
    chain.issue("leaf", "middle", extensions="subjectAltName=DNS:leaf.test")
    chain.join(trial, "leaf", "middle")
    assert_found(trial.edge_conf, r"site\.pem: certificate 2 has expired; take the chain anew")


def test_check_finds_a_key_that_cannot_be_served(trial, chain):
    chain.issue("weak", "middle", extensions="subjectAltName=DNS:weak.test", kind=["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"])
    chain.join(trial, "weak")
    assert_found(trial.edge_conf, r"site\.pem: ")


def test_check_warns_of_rsa_key_exchange_that_cannot_be(trial, chain):
    assert "rsa_key_exchange = on" in read(trial.edge_conf)
    chain.join(trial, "leaf", "middle")
    assert re.search(r"^warning .*certs: rsa_key_exchange is on and no certificate here is RSA", keyless("check", "-c", trial.edge_conf).stdout, re.M)
    rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    chain.issue("signs", "middle", extensions="subjectAltName=DNS:s.test\nkeyUsage=critical,digitalSignature", kind=rsa)
    chain.join(trial, "signs", "middle")
    assert re.search(r"^warning .*keyUsage lacks keyEncipherment", keyless("check", "-c", trial.edge_conf).stdout, re.M)
