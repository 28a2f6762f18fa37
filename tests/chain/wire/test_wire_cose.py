"""COSE envelopes: RFC 9052's structure, purpose and chain bound in, and what is refused."""

import pytest

from chain.crypto.keys import PrivateKey
from chain.errors import Malformed
from chain.wire import cbor, cose

ED = PrivateKey.from_secret("ed25519", b"\x01" * 32)
P256 = PrivateKey.from_secret("p256", b"\x02" * 32)
KID = b"k" * 16
TAG, CHAIN = "dccn/record/v1", "dccn-test"
PAYLOAD = ["rec1", 7, {"cpu": None, "gpu": [1, 2]}]


@pytest.mark.parametrize("key", [ED, P256])
def test_an_envelope_is_opened_and_verified(key: PrivateKey) -> None:
    data = cose.sign(key, KID, PAYLOAD, TAG, CHAIN)
    envelope = cose.open_envelope(data)
    assert envelope.body == PAYLOAD and cbor.decode(envelope.payload) == PAYLOAD
    assert (envelope.kid, envelope.algorithm, envelope.raw) == (KID, key.algorithm, data)
    assert envelope.verify(key.public, TAG, CHAIN)


@pytest.mark.parametrize("key", [ED, P256])
def test_the_signature_is_over_the_sig_structure_of_rfc_9052(key: PrivateKey) -> None:
    tag = cbor.decode(cose.sign(key, KID, PAYLOAD, TAG, CHAIN))
    protected, unprotected, payload, signature = tag.value
    assert tag.tag == 18 and not unprotected
    assert cbor.decode(protected) == {1: -8 if key is ED else -7, 4: KID}
    structure = ["Signature1", protected, cbor.encode([TAG, CHAIN]), payload]
    assert key.public.verify(cbor.encode(structure), signature)


def test_an_envelope_is_worth_nothing_for_another_purpose_chain_or_key() -> None:
    envelope = cose.open_envelope(cose.sign(ED, KID, PAYLOAD, TAG, CHAIN))
    assert not envelope.verify(ED.public, "dccn/receipt/v1", CHAIN)
    assert not envelope.verify(ED.public, TAG, "other")
    assert not envelope.verify(P256.public, TAG, CHAIN)
    assert not envelope.verify(PrivateKey.from_secret("ed25519", b"\x09" * 32).public, TAG, CHAIN)


def test_a_payload_given_as_bytes_is_taken_as_it_is() -> None:
    assert cose.open_envelope(cose.sign(ED, KID, cbor.encode(PAYLOAD), TAG, CHAIN)).body == PAYLOAD


def envelope_of(*parts: object) -> bytes:
    return b"\xd2" + cbor.encode(list(parts))


GOOD = (cbor.encode({1: -8, 4: KID}), {}, cbor.encode(PAYLOAD), bytes(64))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xd2",
        envelope_of(*GOOD)[1:],
        envelope_of(*GOOD) + b"\0",
        envelope_of(*GOOD)[:-1],
        envelope_of(*GOOD[:3]),
        envelope_of(*GOOD, None),
        envelope_of(GOOD[0], {4: KID}, *GOOD[2:]),
        envelope_of(GOOD[0], [], *GOOD[2:]),
        envelope_of(*GOOD[:3], bytes(63)),
        envelope_of(*GOOD[:2], None, GOOD[3]),
        envelope_of(*GOOD[:2], b"", GOOD[3]),
        envelope_of(*GOOD[:2], b"\x18\x01", GOOD[3]),
        envelope_of(b"", *GOOD[1:]),
        envelope_of(cbor.encode({1: -8}), *GOOD[1:]),
        envelope_of(cbor.encode({1: -37, 4: KID}), *GOOD[1:]),
        envelope_of(cbor.encode({1: "ES256", 4: KID}), *GOOD[1:]),
        envelope_of(cbor.encode({1: -8, 4: b""}), *GOOD[1:]),
        envelope_of(cbor.encode({1: -8, 4: bytes(33)}), *GOOD[1:]),
        envelope_of(cbor.encode({1: -8, 4: KID, 5: b"iv"}), *GOOD[1:]),
        envelope_of(cbor.encode([1, 2]), *GOOD[1:]),
        envelope_of({1: -8, 4: KID}, *GOOD[1:]),
    ],
)
def test_what_is_no_envelope_is_refused(data: bytes) -> None:
    assert cose.open_envelope(envelope_of(*GOOD)).body == PAYLOAD
    with pytest.raises(Malformed):
        cose.open_envelope(data)


def test_an_envelope_over_the_limit_is_refused_before_it_is_read() -> None:
    data = cose.sign(ED, KID, [bytes(1000)], TAG, CHAIN)
    assert cose.open_envelope(data, limit=len(data)).body == [bytes(1000)]
    with pytest.raises(Malformed) as caught:
        cose.open_envelope(data, limit=len(data) - 1)
    assert caught.value.code == "too_large"
