"""keyless trace: the steps of each kind of handshake, and what it says when there is none."""
import json
import re

import pytest

from command import run
from fleet import keyless

RSA = ["client_hello", "server_hello", "certificate", "server_hello_done", "client_key_exchange", "client_change_cipher_spec",
       "client_finished", "server_change_cipher_spec", "server_finished", "established", "http", "closed"]
ECDHE = RSA[:3] + ["server_key_exchange"] + RSA[3:]
TLS13 = ["client_hello", "server_hello", "encrypted_extensions", "certificate", "certificate_verify", "server_finished", "client_finished",
         "established", "http", "closed"]
CASES = [
    ("rsa", ("--cipher", "kRSA"), "RSA", RSA, "rsa_master"),
    ("rsa", (), "TLS 1.3", TLS13, "sign_tls13"),
    ("p256", ("--tls", "1.2"), "ECDHE", ECDHE, "sign_tls12"),
    ("rsa", ("--cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "ECDHE", ECDHE, "sign_tls12"),
    ("p256", ("--cipher", "ECDHE"), "ECDHE", ECDHE, "sign_tls12"),
    ("p384", ("--tls", "1.3"), "TLS 1.3", TLS13, "sign_tls13"),
    ("rsa", ("--cipher", "TLS_AES_128_GCM_SHA256"), "TLS 1.3", TLS13, "sign_tls13"),
]


def arguments(edge, pki, name, *options):
    return ["trace", "--ca", pki.ca, "--admin", "%s:%d" % (edge.admin.host, edge.admin.port), "--connect", "127.0.0.1:%d" % edge.port,
            *options, "https://%s.test/" % name]


@pytest.mark.parametrize("name, options, exchange, steps, operation", CASES)
def test_each_key_exchange_has_its_own_steps(shared, pki, name, options, exchange, steps, operation):
    shared.edge.wait_epochs()
    done = json.loads(keyless(*arguments(shared.edge, pki, name, "--json", *options)).stdout)
    assert done["key_exchange"] == exchange and [s["name"] for s in done["steps"]] == steps and done["http_status"] == 200
    assert done["edge"]["key"]["operation"] == operation
    times = [0] + [s["ns"] for s in done["steps"]]
    assert [s["since_ns"] for s in done["steps"]] == [after - before for before, after in zip(times, times[1:])]


def test_the_words_are_those_of_the_key_exchange(shared, pki):
    ecdhe = keyless(*arguments(shared.edge, pki, "rsa", "--cipher", "ECDHE-RSA-AES128-GCM-SHA256")).stdout
    assert re.search(r" Certificate .*\n.*the handshake pauses.*\n.*sign_tls12.*\n.*\(the signature\).*\n.*\n.* ServerKeyExchange .*"
                     r"the server's \S+ value, signed with RSA-PSS and SHA256\n", ecdhe), ecdhe
    assert re.search(r" ClientKeyExchange .*the client's \S+ value; no secret is sent\n", ecdhe), ecdhe
    assert "pre-master" not in ecdhe
    tls13 = keyless(*arguments(shared.edge, pki, "p256", "--tls", "1.3")).stdout
    assert re.search(r" Certificate .*\n.*the handshake pauses.*\n.*sign_tls13.*\n.*\n.*\n.* CertificateVerify .*signed with ECDSA and SHA256\n", tls13), tls13
    assert re.search(r"\n 2\. +[\d.]+ ms +\+[\d.]+  ServerHello .*chooses TLSv1\.3, TLS_\w+, with the server's \S+ value\n", tls13), tls13


def test_beside_it_the_same_with_a_local_key(shared, pki):
    local = ("--local-key", pki.p256[0], "--local-cert", pki.p256[1])
    for options in ((), ("--tls", "1.3"), ("--cipher", "ECDHE")):
        done = keyless(*arguments(shared.edge, pki, "p256", *local, *options)).stdout
        assert len(re.findall(r"private-key operation with the key in its own memory, [\d.]+ ms", done)) == 1, done
        found = json.loads(keyless(*arguments(shared.edge, pki, "p256", "--json", *local, *options)).stdout)
        assert 0 < found["local"]["local_key_ns"] < 10_000_000_000


def test_without_options_an_edge_as_it_comes_is_traced(site, pki, origin):
    """Nobody has to switch on for a look what servers should not take."""
    server = site.start_server([pki.rsa[0]])
    for tls, exchange, steps in (("minimum_version = tls1.2", "TLS 1.3", TLS13), ("maximum_version = tls1.2", "ECDHE", ECDHE)):
        edge = site.start_edge([server], [pki.rsa[1]], origin.address, tls=tls)
        done = json.loads(keyless(*arguments(edge, pki, "rsa", "--json", "--local-key", pki.rsa[0], "--local-cert", pki.rsa[1])).stdout)
        assert done["key_exchange"] == done["local"]["key_exchange"] == exchange
        assert [step["name"] for step in done["steps"]] == steps
        assert "offers TLSv1.2 and TLSv1.3, " in done["steps"][0]["detail"]


def test_without_rsa_key_exchange_it_says_what_to_switch_on(site, pki, origin):
    server = site.start_server([pki.rsa[0]])
    edge = site.start_edge([(server.address, server.identity.public)], [pki.rsa[1]], origin.address, tls="rsa_key_exchange = off")
    done = run(*arguments(edge, pki, "rsa", "--cipher", "kRSA"))
    assert done.returncode != 0 and "takes no RSA key exchange for rsa.test; leave --cipher out to trace what it takes" in done.stderr
    assert "rsa_key_exchange = on into the tls section of its configuration and restart it" in done.stderr
    keyless(*arguments(edge, pki, "rsa", "--cipher", "ECDHE"))
    keyless(*arguments(edge, pki, "rsa", "--tls", "1.3"))
    done = run(*arguments(edge, pki, "rsa", "--cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert done.returncode != 0 and "takes none of the suites ECDHE-ECDSA-AES128-GCM-SHA256" in done.stderr


def test_of_another_version_it_says_which_is_taken(site, pki, origin):
    server = site.start_server([pki.p256[0]])
    edge = site.start_edge([(server.address, server.identity.public)], [pki.p256[1]], origin.address,
                           tls="rsa_key_exchange = off minimum_version = tls1.3")
    done = run(*arguments(edge, pki, "p256", "--cipher", "ECDHE"))
    assert done.returncode != 0 and "does not take TLS 1.2" in done.stderr and "--tls 1.3" in done.stderr


@pytest.mark.parametrize("options, said", [
    (("--tls", "1.1"), "neither 1.2 nor 1.3"),
    (("--tls", "1.2", "--cipher", "TLS_AES_128_GCM_SHA256"), "another version"),
    (("--tls", "1.3", "--cipher", "ECDHE"), "another version"),
])
def test_versions_and_suites_go_together(options, said):
    done = run("trace", *options, "https://localhost/")
    assert done.returncode == 2 and said in done.stderr
