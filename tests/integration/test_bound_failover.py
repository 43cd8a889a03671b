"""Bound mode: key servers that restart, go away or stand in for each other, and epochs that turn, under handshakes."""
import concurrent.futures
import os
import ssl
import subprocess
import time

import pytest

import clients
from bound_mode import BOUND, KIND, MODE, PATIENT, WAITING, Counted, start, tls
from daemon import SLOW, wait_until
from fleet import keyless, write
from relay import Relay

LATER = 60  # clients that come while a key server starts

# ---- key servers that go away in the midst of handshakes ----

def test_key_server_restarted_between_server_hello_and_client_key_exchange(site, pki, origin):
    (server,), edge = start(site, pki, origin, timeouts=PATIENT)
    with clients.Held(edge, "rsa.test", tls(pki)) as held:
        assert server.stop() == 0
        server = site.bring_back(server)
        edge.admin.wait_metric(r"keyless_edge_key_server_connects_total\{", 2)
        held.go_on()
        assert b"from the origin" in held.finish()
    assert server.admin.metric(r'answers_total\{operation="rsa_master",status="ok"') == 1


def test_client_key_exchange_while_the_key_server_is_away(site, pki, origin):
    (server,), edge = start(site, pki, origin, timeouts=PATIENT)
    with clients.Held(edge, "rsa.test", tls(pki)) as held:
        assert server.stop() == 0
        edge.wait_log(r"event=key_server_lost")
        held.go_on()
        edge.admin.wait_metric(r"keyless_edge_handshakes_waiting_for_key")
        site.bring_back(server)
        assert b"from the origin" in held.finish()


def test_a_handshake_that_begins_while_the_key_server_is_away_is_bound(site, pki, origin):
    """Its epoch outlives its channel."""
    (server,), edge = start(site, pki, origin, timeouts=PATIENT)
    assert server.stop() == 0
    edge.wait_log(r"event=key_server_lost")
    with clients.Held(edge, "rsa.test", tls(pki)) as held, Counted(edge) as counted:
        held.go_on()
        edge.admin.wait_metric(r"keyless_edge_handshakes_waiting_for_key")
        site.bring_back(server)
        assert b"from the origin" in held.finish()
        assert counted == {"bound": 1}


def more_keys(folder, count):
    """COUNT keys that no certificate belongs to, as of other customers."""
    subprocess.run(["sh", "-ec", "umask 377; for i in $(seq %d); do openssl genpkey -algorithm EC "
                    "-pkeyopt ec_paramgen_curve:P-256 -out more$i.pem; done" % count], cwd=folder, check=True, capture_output=True)


def test_a_restart_with_400_more_keys_fails_no_handshake_that_waits(site, pki, origin):
    """It takes a while to load them: what comes to the key server meanwhile, from handshakes of any kind, waits or asks again."""
    (server,), edge = start(site, pki, origin, timeouts=PATIENT)
    more_keys(os.path.join(server.folder, "keys"), 400)  # no handshake waits yet: its time is bounded
    ephemeral = [clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"), clients.context(pki.ca, ssl.TLSVersion.TLSv1_3)]
    held = [clients.Held(edge, "rsa.test", tls(pki)) for _ in range(12)]
    assert server.stop() == 0
    edge.wait_log(r"event=key_server_lost")
    with concurrent.futures.ThreadPoolExecutor(LATER + 7) as pool:
        fetched = [pool.submit(clients.fetch, edge, "rsa.test", ephemeral[i % 2]) for i in range(6)]
        for one in held[:6]:
            one.go_on()
        edge.admin.wait_metric(WAITING, 12)
        back = pool.submit(site.bring_back, server)
        for i in range(LATER):  # at any moment of the start
            if back.done():
                break
            fetched.append(pool.submit(clients.fetch, edge, "rsa.test", ephemeral[i % 2]))
            if i % 4 == 2 and i < 24:
                held[6 + i // 4].go_on()
            time.sleep(0.05)
        assert back.result().admin.metric("keyless_server_keys") >= 401
        for one in held:
            one.go_on()
        assert all(b"from the origin" in one.finish() for one in held)
        assert all(b"from the origin" in one.result() for one in fetched)
    for one in held:
        one.close()
    assert edge.admin.metric(r'keyless_edge_handshake_failures_total\{reason="key_') == 0


@pytest.mark.parametrize("gone", [0, 1])
def test_failover_between_server_hello_and_client_key_exchange(site, pki, origin, gone):
    servers, edge = start(site, pki, origin, servers=2, timeouts=PATIENT)
    with clients.Held(edge, "rsa.test", tls(pki)) as held:
        servers[gone].process.kill()
        edge.wait_log(r"event=key_server_lost server=ks%d" % (gone + 1))
        held.go_on()
        assert b"from the origin" in held.finish()
    edge.wait_log(r"event=connection .*kind=rsa .*key_server=ks%d" % (2 - gone))


def test_failover_while_a_key_server_has_the_transcript(site, pki, origin):
    """One of two is stalled with requests in its hands and then lost: each of them is answered by the other."""
    servers = [site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=BOUND)) for _ in range(2)]
    relay, other = (Relay(server.host, server.port) for server in servers)
    try:
        edge = site.start_edge([(way.address, server.identity.public) for way, server in zip((relay, other), servers)], [pki.rsa[1]],
                               origin.address, timeouts=PATIENT)
        edge.wait_epochs(2)
        held = [clients.Held(edge, "rsa.test", tls(pki)) for _ in range(12)]
        for way in (relay, other):  # both: one that is known to be silent would be asked for nothing
            way.stall()
        for one in held:
            one.go_on()
        edge.admin.wait_metric(WAITING, 12)
        other.resume()
        servers[1].admin.wait_metric(r'answers_total\{operation="rsa_master",status="ok"')
        edge.admin.wait_metric(r'keyless_edge_key_server_requests_total\{server="ks1",operation="rsa_master"')
        relay.cut()
        assert all(b"from the origin" in one.finish() for one in held)
        assert servers[1].admin.metric(r'answers_total\{operation="rsa_master",status="ok"') == 12
        assert edge.admin.metric(r'keyless_edge_key_server_retried_total\{server="ks1"') >= 1
        for one in held:
            one.close()
    finally:
        relay.close()
        other.close()


def test_clients_that_leave_while_a_key_server_has_their_transcript(site, pki, origin):
    server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=BOUND))
    relay = Relay(server.host, server.port)
    try:
        edge = site.start_edge([(relay.address, server.identity.public)], [pki.rsa[1]], origin.address, timeouts=PATIENT)
        edge.wait_epochs()
        held = [clients.Held(edge, "rsa.test", tls(pki)) for _ in range(50)]
        relay.stall()
        for one in held:
            one.go_on()
        edge.admin.wait_metric("keyless_edge_handshakes_waiting_for_key", 50)
        for one in held:
            clients.reset(one.raw)
        wait_until(lambda: edge.admin.metric("keyless_edge_connections_active") == 0, "every session freed")
        assert edge.admin.metric("keyless_edge_handshakes_waiting_for_key") == 0
        assert edge.admin.metric(MODE % "bound") == 50
        relay.resume()
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
    finally:
        relay.close()


# ---- epochs ----

def test_a_client_that_waits_longer_than_its_epoch_is_refused(site, pki, origin):
    (server,), edge = start(site, pki, origin, extra="epoch = 1s", timeouts="handshake = %ds" % (60 * SLOW))
    with clients.Held(edge, "rsa.test", tls(pki)) as held:
        begun = edge.admin.metric(r"keyless_edge_key_server_epoch\{")
        wait_until(lambda: edge.admin.metric(r"keyless_edge_key_server_epoch\{") >= begun + 3, "three more epochs")
        held.go_on()
        with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
            held.finish()
    edge.wait_log(r"event=handshake_failed .*reason=key_refused .*rsa=bound")
    server.wait_log(r"event=request_refused .*op=rsa_master .*reason=session_id")
    assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))


def test_epochs_turn_under_handshakes(site, pki, origin):
    _, edge = start(site, pki, origin, extra="epoch = 1s")
    first = edge.admin.metric(r"keyless_edge_key_server_epoch\{")
    count = 0
    while edge.admin.metric(r"keyless_edge_key_server_epoch\{") < first + 3:
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
        count += 1
    assert edge.admin.metric(KIND % "rsa") == count


def test_key_servers_with_different_group_secrets_are_told_apart(site, pki, origin):
    """They disagree, which is said once, and every session goes to the server that has marked it."""
    servers = []
    for number in range(2):
        identity, config, folder = site.server_folder([pki.rsa[0]], authorized=site.authorized_line(options=BOUND), extra="epoch = 1s")
        write(folder + "/group.secret", keyless("genkey").stdout, 0o400)
        servers.append(site.restart_server(folder, identity, config))
    edge = site.start_edge(servers, [pki.rsa[1]], origin.address).wait_epochs(2)
    edge.wait_log(r"event=key_servers_disagree server=ks\d other=ks\d about=group_secret hint=\"give both the same group.secret")
    for _ in range(20):
        assert b"from the origin" in clients.fetch(edge, "rsa.test", tls(pki))
    edge.admin.wait_metric(r"keyless_edge_key_server_other_secrets_total\{", 3)
    assert len(edge.find(r"event=key_servers_disagree")) <= 2  # at most once for each of the two
    assert not edge.find(r"event=handshake_failed")


def test_replicas_agree(site, pki, origin):
    _, edge = start(site, pki, origin, servers=2, extra="epoch = 1s")
    first = edge.admin.metric(r'key_server_epoch\{server="ks1"')
    wait_until(lambda: edge.admin.metric(r'key_server_epoch\{server="ks1"') >= first + 2, "two more epochs")
    assert not edge.find(r"event=key_servers_disagree")
    assert edge.admin.metric(r"key_server_other_(secrets|clocks)_total") == 0
