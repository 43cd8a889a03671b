"""Bad ciphertexts of every class at the key server's socket: nothing that comes back, or is written down, tells one from a good one."""
import hashlib
import json
import os
import re
import subprocess

import pytest

import tls12
from daemon import program, wait_until
from fleet import keyless
from pki import key_id

GRANTS = "ops=sign_tls12,sign_tls13,rsa_premaster,rsa_master"
PREMASTER = bytes([3, 3]) + bytes(range(46))


def numbers(key):
    text = subprocess.run(["openssl", "rsa", "-in", key, "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    modulus = re.search(r"modulus:\n((?:    .*\n)+)", text).group(1)
    return int(re.sub(r"[^0-9a-f]", "", modulus), 16), int(re.search(r"publicExponent: (\d+)", text).group(1))


def padding(size):
    return bytes(b % 255 + 1 for b in os.urandom(size))


def blocks():
    """Plaintexts of 256 bytes: what each class of bad ciphertext holds, and a good one."""
    pad = padding(205)
    good = b"\0\2" + pad + b"\0" + PREMASTER
    return {
        "good": good,
        "first byte": b"\1\2" + good[2:],
        "second byte 1": b"\0\1" + good[2:],
        "second byte 0": b"\0\0" + good[2:],
        "zero early in the padding": good[:5] + b"\0" + good[6:],
        "zero late in the padding": good[:200] + b"\0" + good[201:],
        "no separator": good[:207] + b"\1" + good[208:],
        "separator one early": b"\0\2" + pad[:-1] + b"\0\1" + PREMASTER,
        "separator one late": b"\0\2" + pad + b"\1\0" + PREMASTER[1:],
        "short secret": b"\0\2" + padding(206) + b"\0" + PREMASTER[1:],
        "long secret": b"\0\2" + padding(204) + b"\0" + PREMASTER + b"\7",
        "empty secret": b"\0\2" + padding(253) + b"\0",
        "version below": b"\0\2" + pad + b"\0\3\2" + PREMASTER[2:],
        "version above": b"\0\2" + pad + b"\0\3\4" + PREMASTER[2:],
        "leading zeros": bytes(200) + os.urandom(55) + b"\3",
        "small": bytes(255) + b"\2",
        "random": b"\0" + os.urandom(255),
        "a PKCS #1 signature block": b"\0\1" + b"\xff" * 202 + b"\0" + bytes.fromhex("3031300d060960864801650304020105000420") + os.urandom(32),
    }


@pytest.fixture
def replicas(site, pki):
    """Two key servers of one group, and a way to ask each."""
    servers = [site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=GRANTS), extra="epoch = 10m") for _ in range(2)]
    askers = []

    def asker(server):
        askers.append(tls12.Asker(program("tests/peer_ask"), server, site.edge_identity, site.psk_path))
        return askers[-1]

    yield site, servers, asker
    for each in askers:
        each.close()


def encrypt(key, block):
    n, e = numbers(key)
    return pow(int.from_bytes(block, "big"), e, n).to_bytes(256, "big")


def test_every_class_gets_48_bytes_that_are_the_same_each_time_at_each_replica_and_after_a_restart(replicas, pki):
    site, servers, asker = replicas
    asked = {name: encrypt(pki.rsa[0], block) for name, block in blocks().items()}
    key = key_id(pki.rsa[1])
    one, two = asker(servers[0]), asker(servers[1])
    answers = {}
    for name, ciphertext in asked.items():
        status, answers[name] = one.premaster(key, ciphertext)
        assert (status, len(answers[name])) == ("ok", 48), name
        assert answers[name][:2] == b"\3\3", name
        assert one.premaster(key, ciphertext) == ("ok", answers[name]), name + ", again"
        assert two.premaster(key, ciphertext) == ("ok", answers[name]), name + ", at the other"
    one.close()
    servers[0].stop()
    again = asker(site.bring_back(servers[0]))
    for name, ciphertext in asked.items():
        assert again.premaster(key, ciphertext) == ("ok", answers[name]), name + ", after a restart"
    assert answers.pop("good") == PREMASTER
    assert len(set(answers.values())) == len(answers)
    for name, answer in answers.items():  # nothing of the block comes through
        assert answer[2:] not in blocks()[name] and answer != PREMASTER, name
        status, other = again.premaster(key, asked[name], 0x0302)
        assert status == "ok" and other[2:] != answer[2:], name  # another version tells nothing


def test_an_encoded_signature_block_sent_as_a_ciphertext_yields_no_signature(replicas, pki):
    _, servers, asker = replicas
    block = blocks()["a PKCS #1 signature block"]
    signature = subprocess.run(["openssl", "pkeyutl", "-decrypt", "-inkey", pki.rsa[0], "-pkeyopt", "rsa_padding_mode:none"],
                               input=block, capture_output=True, check=True).stdout
    assert encrypt(pki.rsa[0], signature) == block  # it is one: this is what must not come out
    one, key = asker(servers[0]), key_id(pki.rsa[1])
    messages = tls12.handshake(tls12.session_id(one.epoch()[1], os.urandom(16)), block)
    for status, answer in (one.premaster(key, block), one.master(key, messages)):
        assert (status, len(answer)) == ("ok", 48)
        assert all(answer[at:at + 4] not in signature for at in range(2, 45))
        assert block not in (encrypt(pki.rsa[0], bytes(208) + answer), encrypt(pki.rsa[0], answer + bytes(208)))


def test_in_bound_mode_the_master_secret_is_that_of_what_plain_mode_answers(replicas, pki):
    """So everything above holds for it, too: of a bad ciphertext, it is made of the same fallback."""
    site, servers, asker = replicas
    one, two, key = asker(servers[0]), asker(servers[1]), key_id(pki.rsa[1])
    session_id = tls12.session_id(one.epoch()[1], os.urandom(16))
    asked = {}
    for name, block in blocks().items():
        messages = tls12.handshake(session_id, encrypt(pki.rsa[0], block))
        premaster = one.premaster(key, messages[-256:])[1]
        asked[messages] = ("ok", tls12.prf(premaster, b"extended master secret", hashlib.sha256(messages).digest(), 48))
        assert one.master(key, messages) == one.master(key, messages) == two.master(key, messages) == asked[messages], name
    one.close()
    servers[0].stop()
    again = asker(site.bring_back(servers[0]))
    assert [again.master(key, messages) for messages in asked] == list(asked.values())


# What differs between any two requests. The digest is a hash over the request, which the edge knows anyway.
OWN = re.compile(r"""\d{4}-\d\d-\d\dT[\d:.]+Z|trace=[0-9a-f]{32}|"(trace|digest|hash)":"[0-9a-f]+"|"seq":\d+""")
# Figures of the moment, and how long it took; that is measured elsewhere (docs/security/timing.md).
MOMENT = re.compile("_seconds(_bucket|_sum|_total)?{|_seconds$|_epoch|_audit_sequence|_vault_(queued|working)")


def asked_of(asker, key, mode, site_key):
    """A way to ask for a ciphertext of BLOCK in MODE."""
    if mode == "plain":
        return lambda block: asker.premaster(key, encrypt(site_key, block))
    epoch = asker.epoch()[1]
    return lambda block: asker.master(key, tls12.handshake(tls12.session_id(epoch, os.urandom(16)), encrypt(site_key, block)))


def changed(before, after):
    return {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0) and not MOMENT.search(name)}


@pytest.mark.parametrize("mode, operation", [("plain", "rsa_premaster"), ("bound", "rsa_master")])
def test_log_audit_and_metrics_do_not_tell_good_from_bad(replicas, pki, mode, operation):
    _, servers, asker = replicas
    server, key = servers[0], key_id(pki.rsa[1])
    ask = asked_of(asker(server), key, mode, pki.rsa[0])
    server.wait_log("event=edge_connected")

    def audited():
        return keyless("audit", "tail", "-n", 1000, "--json", "--op", operation, server.folder + "/audit").stdout.splitlines()

    def once(block):
        since, before = server.mark(), server.admin.metrics()
        status, answer = ask(block)
        assert (status, len(answer)) == ("ok", 48)
        server.wait_log(r"event=request\b", since)
        return [OWN.sub("*", line) for line in server.find(r"event=(?!audit_)", since)], changed(before, server.admin.metrics())

    first = server.admin.metrics()
    lines, counted = once(blocks()["good"])
    (record,) = audited()
    expected = OWN.sub("*", record)
    assert len(lines) == 1 and '"result":"ok"' in record and '"mode":"%s"' % mode in record
    asked = [block for block in blocks().values() for _ in range(3)]
    for number, block in enumerate(asked, 2):
        assert once(block) == (lines, counted), block
        assert [OWN.sub("*", line) for line in audited()] == number * [expected], block
    last = json.loads(audited()[-1])["seq"]
    wait_until(lambda: server.admin.metric("audit_sequence") >= last, "the vault's own figures, which come once a second")
    assert changed(first, server.admin.metrics()) == {name: value * (1 + len(asked)) for name, value in counted.items()}


def test_what_anyone_can_see_is_refused_uniformly(replicas, pki):
    _, servers, asker = replicas
    one, key, (n, _) = asker(servers[0]), key_id(pki.rsa[1]), numbers(pki.rsa[0])
    for value in (0, 1, n - 1, n, n + 1, 2 ** 2048 - 1):
        assert one.premaster(key, value.to_bytes(256, "big")) == ("refused", b"")
    assert one.premaster(key, b"\7" * 257) == ("refused", b"")
    assert one.premaster(key, (2).to_bytes(256, "big"))[0] == "ok"
    assert one.premaster(key, (n - 2).to_bytes(256, "big"))[0] == "ok"
