"""One edge that asks for all it may does not keep another waiting."""
import statistics
import subprocess
import time

import pytest

from daemon import SLOW, program
from pki import key_id
from processes import start
from test_reload import HASH, P256, Yard

ROUNDS = 100
FEW, MANY = 16, 200  # channels


@pytest.fixture
def yard(site, pki):
    # The flood comes from a program that a sanitizer slows down more than it does the vault's arithmetic.
    made = Yard(site, pki, "handshakes_per_second = 0" + (" lanes = off" if SLOW > 1 else ""))
    yield made
    made.close()


def seconds(asker, *words):
    begun = time.monotonic()
    assert asker.ask(*words)[0] == "ok"
    return time.monotonic() - begun


def answers(server):
    """(all, those that were none)"""
    found = {name: value for name, value in server.admin.metrics().items() if name.startswith("keyless_server_answers_total{")}
    return sum(found.values()), sum(value for name, value in found.items() if 'status="ok"' not in name)


def beside_a_flood(yard, *words):
    """The median of ROUNDS times that the first edge waits while a thousand RSA operations of the other are in the queue, and
    how long it takes until the next of these is done, on the average of the same time. Both in seconds."""
    flood = yard.load(600, "rsa", in_flight=1000, second=True)
    yard.server.wait_log("event=edge_connected edge=other")
    asker = yard.asker()
    yard.server.admin.wait_metric("keyless_server_vault_queued", 500)
    begun, before = time.monotonic(), answers(yard.server)[0]
    waits = [seconds(asker, *words) for _ in range(ROUNDS)]
    assert yard.server.admin.metric("keyless_server_vault_queued") > 500  # and it was there all the time
    took = time.monotonic() - begun
    done, bad = answers(yard.server)
    flood.kill()
    flood.communicate()
    one = took / (done - before - ROUNDS)
    print("RSA operation %.2f ms, ours beside 1,000 of them: p50 %.2f ms, p99 %.2f ms" % (
        one * 1e3, statistics.median(waits) * 1e3, sorted(waits)[ROUNDS * 99 // 100 - 1] * 1e3))
    assert bad == 0
    return statistics.median(waits), one


def test_a_thousand_rsa_requests_of_one_edge_do_not_keep_anothers_signature_waiting(yard):
    """First come, first served, each signature would wait for all that is in the queue: a thousand operations."""
    wait, one = beside_a_flood(yard, "sign_tls13", key_id(yard.pki.p256[1]), P256, HASH)
    assert wait < 30 * one


def test_an_rsa_request_of_another_edge_waits_for_its_turn_only(yard):
    """For the batch that is being computed and its own, each of eight on both workers: 32 operations (here twice), not 1,000."""
    wait, one = beside_a_flood(yard, "sign_tls13", key_id(yard.pki.rsa[1]), "0804", HASH)
    assert wait < 64 * one


def waits_beside_frames(yard, kind, channels, least=1):
    """How long the first edge waits for each signature while the other floods CHANNELS with frames of KIND; it asks for
    LEAST of them, however soon the flood is over."""
    asker, server = yard.asker(), yard.server
    request = ("sign_tls13", key_id(yard.pki.p256[1]), P256, HASH)
    seconds(asker, *request)
    flood = start([program("tests/peer_frames"), str(server.port), server.identity.public, yard.second.path,
                   yard.second_psk, str(channels), kind], stdout=subprocess.PIPE, text=True)
    waits = []
    try:
        assert flood.stdout.readline() == "flooding\n"
        while len(waits) < least or flood.poll() is None:
            waits.append(seconds(asker, *request))
        assert flood.wait() == 0
    finally:
        flood.kill()
        flood.communicate()
    print("beside a flood of %s on %d channels: %d signatures, mean %.2f ms, slowest %.0f ms" % (
        kind, channels, len(waits), statistics.mean(waits) * 1e3, max(waits) * 1e3))
    return waits


@pytest.mark.parametrize("kind", ["rekey", "ping", "pong"])
def test_a_flood_of_frames_without_data_ends_its_channels_and_keeps_nobody_waiting(yard, kind):
    """All of it together is seconds of work."""
    assert max(waits_beside_frames(yard, kind, FEW, ROUNDS)) < 0.5 * SLOW
    yard.server.wait_log("event=edge_disconnected edge=other .*reason=malformed")


def test_all_channels_of_one_edge_together_get_one_share_of_a_turn(yard):
    """Each channel keeps to its bound, and there are so many that a turn of the loop in which each is read takes a third of
    a second. All of it is read, though, and the ends of the channels are seen."""
    waits = waits_beside_frames(yard, "request", MANY)
    of_a_moment = sum(wait * wait for wait in waits) / sum(waits)  # of the signature that is waited for at any moment
    assert of_a_moment < 0.1 * SLOW
    assert sum(waits) < 30 * SLOW
