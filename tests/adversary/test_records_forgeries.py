"""Ways to be paid for work that was not done, by bending records; each fails before anybody counts it."""

from dataclasses import replace
from hashlib import sha256
from random import Random

import pytest

from chain.crypto.address import device_id
from chain.crypto.keys import PrivateKey
from chain.errors import DccnError, Malformed, Refused
from chain.proofs.delegation import Delegation, open_delegation, sign_delegation
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import (
    LOADS_MAX,
    RECORD_MAX_BYTES,
    RECORD_TAG,
    Load,
    Record,
    is_contradiction,
    open_record,
    sign_record,
)
from chain.wire import cbor, cose

CHAIN_ID = "dccn-test"
IDENTITY = PrivateKey.from_secret("ed25519", sha256(b"identity").digest())
RECORD_KEY = PrivateKey.from_secret("ed25519", sha256(b"record key").digest())
THIEF = PrivateKey.from_secret("ed25519", sha256(b"thief").digest())
DEVICE, CHAIN, BOOT = device_id(IDENTITY.public), b"\x0c" * 16, b"\x0b" * 16
RECORD = Record(DEVICE, CHAIN, 0, bytes(32), BOOT, 0, 60_000, {"cpu_busy_ms": 10, "uptime_ms": 60_000})
SIGNED = sign_record(RECORD, RECORD_KEY, CHAIN_ID)


def enveloped(body: object) -> bytes:
    """Signed like a record, whatever it is: the device's owner has the key."""
    return cose.sign(RECORD_KEY, sha256(RECORD_KEY.public.x).digest()[:16], body, RECORD_TAG, CHAIN_ID)


def body_with(at: int, value: object) -> list[object]:
    body = cbor.decode(RECORD.payload())
    body[at] = value
    return body


def test_changing_any_single_bit_of_a_record_ends_it() -> None:
    """The limits-times-time scheme of 2019 let anyone write any number; here no bit can move."""
    random = Random(5)
    for _ in range(200):
        flipped = bytearray(SIGNED)
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
        try:
            accepted = open_record(bytes(flipped)).verify(RECORD_KEY.public.x, CHAIN_ID)
        except Malformed:
            accepted = False
        assert not accepted


def test_random_bytes_are_refused_with_a_code_and_never_crash() -> None:
    random = Random(6)
    for size in range(300):
        with pytest.raises(DccnError):
            open_record(random.randbytes(size))
        with pytest.raises(DccnError):
            open_record(b"\xd2" + random.randbytes(size))


def test_claiming_another_devices_record_needs_its_identity_key() -> None:
    stolen = open_record(sign_record(RECORD, THIEF, CHAIN_ID))
    delegation = Delegation(DEVICE, THIEF.public.x, BOOT, 0, 100_000)
    assert delegation.covers(stolen.record), "the thief fills in the form correctly"
    with pytest.raises(Refused, match="delegation_invalid"):
        open_delegation(sign_delegation(delegation, THIEF, CHAIN_ID)).check(IDENTITY.public, CHAIN_ID)


def test_a_key_id_of_the_right_key_does_not_carry_a_wrong_signature() -> None:
    impostor = cose.sign(THIEF, sha256(RECORD_KEY.public.x).digest()[:16], RECORD.payload(), RECORD_TAG, CHAIN_ID)
    assert not open_record(impostor).verify(RECORD_KEY.public.x, CHAIN_ID)


def test_a_signature_under_another_key_id_is_not_the_record_keys() -> None:
    hidden = cose.sign(RECORD_KEY, bytes(16), RECORD.payload(), RECORD_TAG, CHAIN_ID)
    assert not open_record(hidden).verify(RECORD_KEY.public.x, CHAIN_ID)


def test_two_stories_under_one_number_are_a_contradiction_that_anybody_can_show() -> None:
    richer = replace(RECORD, host={"cpu_busy_ms": 60_000, "uptime_ms": 60_000})
    first, second = open_record(SIGNED), open_record(sign_record(richer, RECORD_KEY, CHAIN_ID))
    assert first.verify(RECORD_KEY.public.x, CHAIN_ID) and second.verify(RECORD_KEY.public.x, CHAIN_ID)
    assert is_contradiction(first, second)


def test_repeating_a_record_or_opening_a_new_chain_is_no_contradiction() -> None:
    first = open_record(SIGNED)
    assert not is_contradiction(first, open_record(SIGNED))
    new_chain = replace(RECORD, chain=b"\x0d" * 16, host={})
    assert not is_contradiction(first, open_record(sign_record(new_chain, RECORD_KEY, CHAIN_ID)))


def test_rewriting_history_breaks_the_chain_after_it() -> None:
    chain = RecordChain(DEVICE, CHAIN)
    chain.advance(RECORD, open_record(SIGNED).hash)
    honest_second = chain.draft(boot=BOOT, from_ms=60_000, to_ms=120_000, host={})
    rewritten = RecordChain(DEVICE, CHAIN)
    rewritten.advance(replace(RECORD, host={}), sha256(replace(RECORD, host={}).payload()).digest())
    with pytest.raises(Refused, match="record_broken_chain"):
        rewritten.check(honest_second)


@pytest.mark.parametrize(
    "body",
    [
        body_with(0, "rec2"),
        body_with(1, DEVICE[:16]),
        body_with(2, b""),
        body_with(3, -1),
        body_with(3, True),
        body_with(3, 2**64),
        body_with(4, None),
        body_with(4, b"\x01" * 32),
        body_with(6, 60_001),
        body_with(7, 86_400_001),
        body_with(8, []),
        body_with(8, {"cpu_busy_ms": -1}),
        body_with(8, {"cpu_busy_ms": "1"}),
        body_with(8, {"cpu_busy_ms": True}),
        body_with(8, {"Not A Name": 1}),
        body_with(8, {f"counter_{number}": 1 for number in range(65)}),
        body_with(9, [{"energy_mj": 1}]),
        body_with(9, [{"uuid": 5}]),
        body_with(9, [{"uuid": "G"}] * 33),
        body_with(10, [{"lease": "x"}]),
        body_with(11, [[1, "pog"]]),
        body_with(11, [[0, "pog", bytes(32)]]),
        body_with(11, [[1, "pog", bytes(32)]] * 65),
        cbor.decode(RECORD.payload())[:-1],
        [*cbor.decode(RECORD.payload()), None],
        {"rec1": 1},
        "rec1",
    ],
)
def test_a_signed_body_that_is_no_record_is_malformed(body: object) -> None:
    with pytest.raises(Malformed) as refused:
        open_record(enveloped(body))
    assert refused.value.code == "malformed"


def test_truncated_oversized_and_non_canonical_records_have_their_own_codes() -> None:
    for data, code in (
        (SIGNED[:-1], "malformed"),
        (SIGNED + b"\x00", "non_canonical"),
        (bytes([0xD2]) + bytes(RECORD_MAX_BYTES), "too_large"),
        (enveloped(RECORD.payload().replace(b"\x19\xea\x60", b"\x1a\x00\x00\xea\x60", 1)), "non_canonical"),
    ):
        with pytest.raises(Malformed) as refused:
            open_record(data)
        assert refused.value.code == code


def test_a_device_cannot_make_its_records_larger_than_the_hub_reads() -> None:
    heavy = Load("l" * 160, "d" * 160, 2**63, 2**63, 2**63, 2**63, 2**63, "s" * 160)
    with pytest.raises(Malformed, match="too_large"):
        sign_record(replace(RECORD, loads=(heavy,) * LOADS_MAX), RECORD_KEY, CHAIN_ID)
