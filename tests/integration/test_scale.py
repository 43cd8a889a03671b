"""Thousands of handshakes that wait at once for a key server far away, on one thread."""
import asyncio
import ssl
import time

import clients
from daemon import SLOW, rss_kb
from relay import Relay

COUNT = 2000 if SLOW == 1 else 200
EACH_KB = 64 if ssl.OPENSSL_VERSION_INFO < (3, 5) else 80  # OpenSSL's own part of a connection grew


def test_two_thousand_handshakes_wait_at_once(site, pki, origin):
    server = site.start_server([pki.p256[0]])
    relay = Relay(server.host, server.port, delay=0.1)  # each way: 200 ms for the round trip
    edge = site.start_edge([(relay.address, server.identity.public)], [pki.p256[1]], origin.address, threads=1,
                           timeouts="handshake = 60s key = 30s", extra="access_log = off")
    # All have sent their ClientHello before the first answer may come.
    relay.stall()
    tls = clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256")
    before = rss_kb(edge.pid)
    peak = {}

    async def one():
        reader, writer = await asyncio.open_connection(edge.host, edge.port, ssl=tls, server_hostname="p256.test",
                                                       ssl_handshake_timeout=120)
        writer.close()
        return True

    async def all_of_them():
        tasks = [asyncio.ensure_future(one()) for _ in range(COUNT)]
        end = time.monotonic() + 60 * SLOW
        while True:
            await asyncio.sleep(0.05)
            waiting = await asyncio.to_thread(edge.admin.metric, r"keyless_edge_handshakes_waiting")
            if waiting >= COUNT:
                break
            assert time.monotonic() < end, "only %d are waiting" % waiting
        peak["kb"] = rss_kb(edge.pid)
        relay.resume()
        return await asyncio.gather(*tasks)

    assert asyncio.run(all_of_them()) == [True] * COUNT
    assert edge.admin.metric(r"keyless_edge_handshakes_total") == COUNT
    assert edge.admin.metric(r"keyless_edge_handshake_failures_total") == 0
    print("waiting handshakes: %d, %.1f KB each" % (COUNT, (peak["kb"] - before) / COUNT))
    if SLOW == 1:
        assert (peak["kb"] - before) / COUNT < EACH_KB
    relay.close()
