"""ClientKeyExchange with what can be no encryption at all, as anyone can see: it fares as any wrong padding does (RFC 5246, 7.4.7.1)."""
import os

import pytest

from fleet import Site
from one_mode import MODES, Rig
from test_ciphertexts import numbers
from tls12_client import Client, with_length

SIZE = 256
DECODE_ERROR, ILLEGAL_PARAMETER, BAD_RECORD_MAC = 50, 47, 20


@pytest.fixture(scope="module", params=list(MODES))
def rig(request, tmp_path_factory, pki, origin):
    site = Site(tmp_path_factory.mktemp(request.param), pki.authority)
    yield Rig(site, pki, origin, request.param)
    site.close()


def impossible(modulus):
    """Ciphertexts by what is wrong with them."""
    values = {"0": 0, "1": 1, "n - 1": modulus - 1, "n": modulus, "n + 1": modulus + 1, "2n - 1": 2 * modulus - 1, "all ones": 256 ** SIZE - 1}
    lengths = (0, 1, 48, SIZE - 1, SIZE + 1, 2 * SIZE, 2046)
    return {**{name: min(value, 256 ** SIZE - 1).to_bytes(SIZE, "big") for name, value in values.items()},
            **{"%d bytes" % length: os.urandom(length) for length in lengths}, "a zero before as many as there should be": bytes(1) + os.urandom(SIZE)}


def test_what_can_be_no_encryption_fares_as_a_wrong_padding(rig, pki):
    modulus, _ = numbers(pki.rsa[0])
    wrong_padding = b"\0" + os.urandom(SIZE - 1)
    alert, lines, counted = rig.fail(with_length(wrong_padding))
    assert (alert, counted) == (BAD_RECORD_MAC, [1, 0, 0, 0, 0]), lines
    for what, ciphertext in impossible(modulus).items():
        # The key server is asked in each case: this, and not its time, is what takes the time.
        assert rig.fail(with_length(ciphertext)) == (alert, lines, [1, 0, 1, 0, 0]), what
        rig.serves()


def test_values_at_the_ends_of_the_range_are_asked_for(rig, pki):
    modulus, _ = numbers(pki.rsa[0])
    for value in (2, modulus - 2):
        alert, _, counted = rig.fail(with_length(value.to_bytes(SIZE, "big")))
        assert (alert, counted) == (BAD_RECORD_MAC, [1, 0, 0, 0, 0]), value
    rig.serves()


@pytest.mark.parametrize("body, alert", [
    (b"", DECODE_ERROR), (b"\0", DECODE_ERROR), (b"\1\0" + bytes(255), DECODE_ERROR), (b"\1\0" + bytes(257), DECODE_ERROR),
    (os.urandom(2049), ILLEGAL_PARAMETER)], ids=["empty", "half a length", "less than its length", "more than its length", "too long a message"])
def test_a_message_that_is_none_is_refused_at_once(rig, body, alert):
    """Whatever it holds: OpenSSL does not get as far as a ciphertext, and nobody is asked."""
    seen, _, counted = rig.fail(body, then=Client.expect_change)
    assert (seen, counted) == (alert, [0, 0, 0, 0, 0])
    rig.serves()
