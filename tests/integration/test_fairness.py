"""One edge that asks for all it may does not keep another waiting."""
import statistics
import time

import pytest

from pki import key_id
from test_reload import HASH, P256, Yard, outcome

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


def test_a_thousand_rsa_requests_of_one_edge_do_not_keep_anothers_signature_waiting(yard):
    """First come, first served, each signature would wait for all that is in the queue: a thousand operations."""
    flood = yard.load(4, "rsa", in_flight=1000, second=True)
    yard.server.wait_log("event=edge_connected edge=other")
    asker, key = yard.asker(), key_id(yard.pki.p256[1])
    yard.server.admin.wait_metric("keyless_server_vault_queued", 500)
    quick = [seconds(asker, "sign_tls13", key, P256, HASH) for _ in range(ROUNDS)]
    assert yard.server.admin.metric("keyless_server_vault_queued") > 500  # and it was there all the time
    result = outcome(flood)
    one = result["seconds"] / result["answered"]  # an RSA operation takes a worker for twice as long, there being two
    assert result["failed"] == 0
    print("RSA operation %.2f ms, P-256 beside 1,000 of them: p50 %.2f ms, p99 %.2f ms" % (
        one * 2e3, statistics.median(quick) * 1e3, sorted(quick)[ROUNDS * 99 // 100 - 1] * 1e3))
    assert statistics.median(quick) < 30 * one  # 1,000 is what it would be first come, first served


def test_an_rsa_request_of_another_edge_waits_for_its_turn_only(yard):
    flood = yard.load(4, "rsa", in_flight=1000, second=True)
    yard.server.wait_log("event=edge_connected edge=other")
    asker, key = yard.asker(), key_id(yard.pki.rsa[1])
    yard.server.admin.wait_metric("keyless_server_vault_queued", 500)
    quick = [seconds(asker, "sign_tls13", key, "0804", HASH) for _ in range(ROUNDS)]
    assert yard.server.admin.metric("keyless_server_vault_queued") > 500
    result = outcome(flood)
    assert result["failed"] == 0
    # It waits for the batch that is being computed and its own, each of eight on both workers: 32 operations (here twice), not 1,000.
    assert statistics.median(quick) < 64 * result["seconds"] / result["answered"]
