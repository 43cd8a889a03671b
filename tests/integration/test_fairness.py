"""One edge that asks for all it may does not keep another waiting."""
import statistics
import time

import pytest

from pki import key_id
from test_reload import HASH, P256, Yard

ROUNDS = 100


@pytest.fixture
def yard(site, pki):
    made = Yard(site, pki)
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
