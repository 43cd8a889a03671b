"""keyless check --online, and keyless keys: what the key servers grant beside what the edge needs."""
import json
import re

import pytest

from command import run
from fleet import keyless
from pki import key_id


def edge_conf(site, servers, certs, **options):
    return site.edge_config([(s.address, s.identity.public) for s in servers], certs, "127.0.0.1:1", **options)


def test_check_online_all_is_well(shared, pki):
    conf = edge_conf(shared, [shared.server], [cert for _, cert in pki.all])
    done = keyless("check", "-c", conf, "--online")
    assert done.stdout.count("its key is at 1 of 1 key servers") == len(pki.all)
    assert "keys this edge may use: %d" % len(pki.all) in done.stdout


def test_check_online_finds_a_missing_key(site, pki):
    server = site.start_server([pki.p256[0]])
    done = run("check", "--online", "-c", edge_conf(site, [server], [pki.p256[1], pki.rsa[1]]))
    assert done.returncode == 1
    assert re.search(r"^error .*rsa\.pem: key_server ks1 gives no key for it \(id %s\); put" % key_id(pki.rsa[1]), done.stdout, re.M), done.stdout
    assert re.search(r"^ok .*p256\.pem: its key is at 1 of 1", done.stdout, re.M)


@pytest.mark.parametrize("granted, tls, lacking", [
    ("ops=sign_tls12,sign_tls13", "rsa_key_exchange = on", "rsa_master"),
    ("ops=sign_tls13,rsa_premaster", "rsa_key_exchange = on", "sign_tls12"),
    ("ops=sign_tls12,rsa_master", "rsa_key_exchange = on", "sign_tls13"),
    ("ops=rsa_premaster", "rsa_key_exchange = off", "sign_tls13,sign_tls12"),
    ("ops=sign_tls12,sign_tls13", "rsa_key_exchange = off", None),
    ("ops=sign_tls13", "rsa_key_exchange = off minimum_version = tls1.3", None),
    ("ops=sign_tls12", "rsa_key_exchange = off maximum_version = tls1.2", None),
])
def test_check_online_knows_what_each_certificate_needs(site, pki, granted, tls, lacking):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=granted))
    done = run("check", "--online", "-c", edge_conf(site, [server], [pki.rsa[1]], tls=tls))
    assert done.returncode == (1 if lacking else 0), done.stdout
    if lacking:
        assert "does not grant %s for its key; append to ops=" % lacking in done.stdout


@pytest.mark.parametrize("granted, said", [
    ("rsa_master", r"^ok .*rsa_master and not rsa_premaster: RSA key exchange is bound; clients without extended master secret"),
    ("rsa_premaster", r"^warning .*rsa_premaster and not rsa_master: .*decrypt RSA sessions recorded today; append rsa_master to ops="),
    ("rsa_master,rsa_premaster", None),
])
def test_check_online_says_what_one_way_of_rsa_key_exchange_means(site, pki, granted, said):
    server = site.start_server([pki.rsa[0], pki.p256[0]], authorized=site.authorized_line(options="ops=sign_tls12,sign_tls13," + granted))
    done = keyless("check", "--online", "-c", edge_conf(site, [server], [pki.rsa[1], pki.p256[1]]))
    found = re.findall(r"^.*rsa_master.*$|^.*rsa_premaster.*$", done.stdout, re.M)
    assert len(found) == (1 if said else 0), done.stdout
    if said:
        assert re.search(said, found[0]) and "rsa.pem" in found[0]
    off = keyless("check", "--online", "-c", edge_conf(site, [server], [pki.rsa[1]], tls="rsa_key_exchange = off"))
    assert "rsa_master" not in off.stdout


def test_check_online_warns_of_one_replica_without_the_key(site, pki):
    servers = [site.start_server([pki.rsa[0]]), site.start_server([pki.p256[0]])]
    done = keyless("check", "--online", "-c", edge_conf(site, servers, [pki.rsa[1]]))
    assert re.search(r"^warning .*rsa\.pem: key_server ks2 gives no key", done.stdout, re.M)
    assert re.search(r"^ok .*rsa\.pem: its key is at 1 of 2 key servers", done.stdout, re.M)


def test_an_unreachable_key_server_ends_with_3(site, pki):
    server = site.start_server([pki.rsa[0]])
    conf = edge_conf(site, [server], [pki.rsa[1]])
    server.stop()
    done = run("check", "--online", "-c", conf)
    assert done.returncode == 3 and re.search(r"^error .*key_server ks1: .*does not answer; connection refused: ", done.stdout, re.M)


def test_check_online_is_for_an_edge(trial):
    done = run("check", "--online", "-c", trial.server_conf)
    assert done.returncode == 2 and "edge.conf" in done.stderr


def test_keys(site, pki):
    server = site.start_server([pki.rsa[0], pki.p256[0]], authorized=site.authorized_line(options="ops=sign_tls13 keys=p256"))
    conf = edge_conf(site, [server], [pki.rsa[1]])
    (one,) = json.loads(keyless("keys", "--json", "-c", conf).stdout)
    assert one["key_id"] == key_id(pki.p256[1]) and one["type"] == "p256" and one["operations"] == ["sign_tls13"]
    text = keyless("keys", "-c", conf).stdout
    assert key_id(pki.p256[1]) in text and "sign_tls13" in text and "sign_tls12" not in text


def test_keys_of_an_edge_without_any(site, pki):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options="keys=other"))
    done = run("keys", "-c", edge_conf(site, [server], [pki.rsa[1]]))
    assert done.returncode == 4 and "authorized_edges" in done.stderr
