"""ClientHellos that few clients send and OpenSSL takes: bound mode serves them as plain mode does, and what it cannot serve asks nobody."""
import contextlib
import os
import struct

import pytest

from fleet import Site, keyless
from one_mode import MODES, Rig
from tls12_client import Alert

KIB = 1024
SERVER_NAME, STATUS_REQUEST, PADDING, SUPPORTED_VERSIONS, UNKNOWN = 0, 5, 21, 43, 0x2000
GROUPS, ALPN, ALGORITHMS_CERT, KEY_SHARE = 10, 16, 50, 51
DECODE_ERROR, HANDSHAKE_FAILURE, PROTOCOL_VERSION, ILLEGAL_PARAMETER = 50, 40, 70, 47
WITHHELD = 'keyless_edge_rsa_key_exchanges_withheld_total{reason="too_long"}'


def extension(number, body=b""):
    return struct.pack(">HH", number, len(body)) + body


def names(*each):
    entries = b"".join(b"\0" + struct.pack(">H", len(name)) + name for name in each)
    return {"extensions": extension(SERVER_NAME, struct.pack(">H", len(entries)) + entries)}


def lists_tls12(version):
    return {"version": version, "extensions": extension(SUPPORTED_VERSIONS, b"\2\3\3")}


SERVED = {
    "legacy_version 1.3": {"version": 0x0304}, "legacy_version of all ones": {"version": 0xffff},
    **{"legacy_version %04x and a list" % version: lists_tls12(version) for version in (0x0301, 0x0302, 0x0303)},
    "200 extensions": {"extensions": b"".join(extension(UNKNOWN + n) for n in range(200))},
    "10,000 extensions": {"extensions": b"".join(extension(UNKNOWN + n) for n in range(10000))},
    "one extension twice": {"extensions": 2 * extension(UNKNOWN)},
    "status_request": {"extensions": extension(STATUS_REQUEST, b"\1\0\0\0\0")},
    "60 KiB of padding": {"extensions": extension(PADDING, bytes(60 * KIB - 100))},
    "60 KiB of an unknown extension": {"extensions": extension(UNKNOWN, os.urandom(60 * KIB - 100))},
    "16 KiB of suites": {"suites": (8 * KIB - 1) * b"\x5a\x5a"},
    **{"the name %r" % name: names(name) for name in (b'a"b', b"a\\b", b"a b", b"a\nb", b"\1", b"\x80\xff", b"a=b", "ä.test".encode(), b".", b"10.0.0.1")},
    "a name of 255 bytes": names(255 * b"n"),
}
REFUSED = {
    "legacy_version 1.1": ({"version": 0x0302}, PROTOCOL_VERSION),
    "a name of 256 bytes": (names(256 * b"n"), DECODE_ERROR), "an empty name": (names(b""), DECODE_ERROR),
    "more suites than any list has room for": ({"suites": 8 * KIB * b"\0\x2f"}, ILLEGAL_PARAMETER),
    **{"more of extension %d" % number: ({"extensions": extension(number, struct.pack(">H", 16 * KIB) + 8 * KIB * b"\0\x1d")}, ILLEGAL_PARAMETER)
       for number in (GROUPS, ALGORITHMS_CERT, ALPN)},
    "a name with a zero": (names(b"a\0b"), DECODE_ERROR), "two names": (names(b"a", b"b"), DECODE_ERROR),
}


def of_length(length, suites=b""):
    """A ClientHello of that many bytes, its header included: 69 are there in any case."""
    return {"suites": suites, "extensions": extension(UNKNOWN, bytes(length - len(suites) - 69))}


HELLO_MAX = 63 * KIB
TOO_LONG = 'keyless_edge_handshake_failures_total{reason="hello_too_long"}'
LONG = {"62 KiB": of_length(62 * KIB), "63 KiB": of_length(HELLO_MAX, 5 * KIB * b"\x5a\x5a")}


@pytest.fixture(scope="module", params=list(MODES))
def rig(request, tmp_path_factory, pki, origin):
    site = Site(tmp_path_factory.mktemp(request.param), pki.authority)
    yield Rig(site, pki, origin, request.param)
    site.close()


def change(rig, act):
    """How the figures change by ACT."""
    before = rig.counted()
    act()
    return [b - a for a, b in zip(before, rig.counted())]


@pytest.mark.parametrize("hello", list(SERVED))
def test_served_in_both_modes(rig, hello):
    assert change(rig, lambda: rig.serves(**SERVED[hello])) == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("hello", list(REFUSED))
def test_refused_alike_in_both_modes_and_nobody_is_asked(rig, hello):
    hello, expected = REFUSED[hello]

    def fails():
        with pytest.raises(Alert) as alert:
            rig.serves(**hello)
        assert alert.value.args == (expected,)

    assert change(rig, fails) == [0, 0, 0, 0, 0]
    rig.serves()


@pytest.mark.parametrize("hello", list(LONG))
def test_what_exceeds_a_request_is_served_plain_or_not_at_all(rig, hello):
    """Bound mode has room for 63 KiB of messages: beyond, the client hears so at once, and no key server does."""
    withheld = rig.edge.admin.metric(WITHHELD)
    if rig.operation == "rsa_premaster":
        assert change(rig, lambda: rig.serves(**LONG[hello])) == [1, 0, 0, 0, 0]
        return

    def fails():
        with pytest.raises(Alert) as alert:
            rig.serves(**LONG[hello])
        assert alert.value.args == (HANDSHAKE_FAILURE,)

    assert change(rig, fails) == [0, 0, 0, 0, 0]
    assert rig.edge.admin.metric(WITHHELD) == withheld + 1
    rig.serves()


@pytest.mark.parametrize("record", [1, 3, 1000])
def test_records_may_be_as_short_as_they_like(rig, record):
    assert change(rig, lambda: rig.serves(record, **of_length(60 * KIB))) == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("length", [HELLO_MAX + 1, 80 * KIB, 131000, 2**24 + 3])
def test_what_is_too_long_is_refused_in_every_mode(rig, length):
    """The alert comes when the length has, before the rest is sent or kept."""
    counted = rig.edge.admin.metric(TOO_LONG)

    def fails():
        since = rig.edge.mark()
        with rig.connect() as raw:
            raw.sendall(struct.pack(">BHHBBH", 22, 0x0301, 16 * KIB, 1, length - 4 >> 16, length - 4 & 0xffff))
            assert rig.client(raw).record() == (21, bytes([2, ILLEGAL_PARAMETER]))
            assert raw.recv(1) == b""
        rig.edge.wait_log("event=handshake_failed .*reason=hello_too_long", since)

    assert change(rig, fails) == [0, 0, 0, 0, 0]
    assert rig.edge.admin.metric(TOO_LONG) == counted + 1
    rig.serves()


def answer(client):
    kind, body = client.record()
    return client.record() if kind == 20 else (kind, body)  # that was for middleboxes


@contextlib.contextmanager
def asks_for_another_share(rig):
    """(socket, client, what its second ClientHello must say) of a TLS 1.3 client that has got a HelloRetryRequest."""
    offers = extension(SUPPORTED_VERSIONS, b"\2\3\4") + extension(GROUPS, b"\0\2\0\x1d")
    with rig.connect() as raw:
        client = rig.client(raw)
        client.say_hello(suites=b"\x13\1", extensions=offers + extension(KEY_SHARE, b"\0\0"))
        kind, body = client.record()
        assert kind == 22 and body[0] == 2, body
        yield raw, client, offers + extension(KEY_SHARE, b"\0\x24\0\x1d\0\x20" + os.urandom(32))


def test_a_second_hello_that_is_too_long_is_refused(rig):
    since = rig.edge.mark()
    with asks_for_another_share(rig) as (raw, client, _):
        raw.sendall(struct.pack(">BHHBBH", 22, 0x0303, 16 * KIB, 1, 2, 0))
        assert answer(client) == (21, bytes([2, ILLEGAL_PARAMETER]))
    rig.edge.wait_log("event=handshake_failed .*reason=hello_too_long", since)


def test_odd_names_stay_one_line_in_log_and_record(rig, pki):
    """With line ends, quotes and bytes that are no text in it, the record is one that verifies."""
    name = b'a\n2026-01-01T00:00:00Z info event=forged "\\\xff'
    since = rig.edge.mark()
    rig.serves(**names(name))
    rig.edge.wait_log("event=connection ", since)
    assert not rig.edge.find("^2026-01-01", since) and not rig.server.find("^2026-01-01")
    log = rig.server.folder + "/audit"
    if rig.operation == "rsa_master":
        assert "forged" in keyless("audit", "tail", "-n", 10, "--json", "--op", rig.operation, log).stdout
    keyless("audit", "verify", "--live", log)


def test_a_second_hello_is_measured_as_well(rig):
    """TLS 1.3: a client that is asked for another key share says everything anew."""
    with asks_for_another_share(rig) as (_, client, extensions):
        client.say_hello(suites=b"\x13\1" + 20 * KIB * b"\0\x2f", extensions=extensions)
        kind, body = answer(client)
        assert (kind, body[1]) == (21, ILLEGAL_PARAMETER)
    rig.serves()
