"""Transactions: round trip, what the signatures cover, what is refused."""

from dataclasses import replace

import pytest

from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.errors import Malformed, Refused
from chain.wire import bodies, cbor, transactions
from chain.wire.transactions import ANKR

CHAIN = "dccn-test"
ALICE = PrivateKey.from_secret("ed25519", b"\x01" * 32)
BOB = PrivateKey.from_secret("p256", b"\x02" * 32)
HUB = PrivateKey.from_secret("ed25519", b"\x03" * 32)
TRANSFER = transactions.transfer(address(BOB.public), 3 * ANKR)


def signed(sender: PrivateKey = ALICE) -> transactions.Transaction:
    return transactions.sign(sender, CHAIN, TRANSFER, nonce=7, fee=5 * ANKR, valid_until_height=100)


@pytest.mark.parametrize("sender", [ALICE, BOB])
def test_a_transaction_survives_its_bytes(sender: PrivateKey) -> None:
    original = signed(sender)
    decoded = transactions.decode(original.encode())
    assert decoded == original
    assert decoded.verify(CHAIN)
    assert decoded.hash == original.hash
    assert decoded.sign_bytes(CHAIN) == original.sign_bytes(CHAIN)


def test_sign_bytes_are_tag_chain_and_the_first_eight_items_in_one_array() -> None:
    tx = signed()
    items = cbor.decode(tx.encode())[:8]
    assert cbor.decode(tx.sign_bytes(CHAIN)) == ["dccn/tx/v1", CHAIN, *items]


@pytest.mark.parametrize("change", [{"nonce": 8}, {"fee": 0}, {"valid_until_height": None}, {"type": 2}])
def test_a_change_of_any_signed_item_breaks_the_signature(change: dict[str, int]) -> None:
    decoded = transactions.decode(signed().encode())
    assert not replace(decoded, **change).verify(CHAIN)
    assert not decoded.verify("another chain")


def test_a_sponsor_signs_last_and_only_when_named() -> None:
    named = transactions.sign(ALICE, CHAIN, TRANSFER, nonce=0, fee=5 * ANKR, fee_payer=HUB.public)
    waiting = transactions.decode(named.encode())
    assert not waiting.verify(CHAIN)
    sponsored = transactions.decode(transactions.sponsor(waiting, HUB, CHAIN).encode())
    assert sponsored.verify(CHAIN) and sponsored.payer == HUB.public
    assert sponsored.sign_bytes(CHAIN) == waiting.sign_bytes(CHAIN)
    with pytest.raises(Refused):
        transactions.sponsor(waiting, ALICE, CHAIN)


def test_a_fee_signature_without_fee_payer_is_malformed() -> None:
    items = cbor.decode(signed().encode())
    items[9] = bytes(64)
    with pytest.raises(Malformed):
        transactions.decode(cbor.encode(items))


@pytest.mark.parametrize(
    ("position", "value"),
    [(0, 2), (0, True), (1, -1), (2, {}), (3, "0"), (4, 1 << 127 << 1), (5, -1), (6, b""), (7, 0), (8, b"x"), (9, 1)],
)
def test_a_wrong_item_is_refused_and_never_crashes(position: int, value: object) -> None:
    items = cbor.decode(signed().encode())
    items[position] = value
    with pytest.raises(Malformed):
        transactions.decode(cbor.encode(items))


def test_a_beacon_transaction_carries_exactly_one_vrf_proof() -> None:
    pi = bytes(range(80))
    assert transactions.decode_beacon_tx(transactions.beacon_tx(pi)) == pi
    assert transactions.is_beacon_tx(transactions.beacon_tx(pi)) and not transactions.is_beacon_tx(signed().encode())
    for wrong in ([0, pi[:-1]], [1, pi], [False, pi], [0, pi, None], 0):
        with pytest.raises(Malformed):
            transactions.decode_beacon_tx(cbor.encode(wrong))


def test_a_registration_is_signed_by_the_device_for_one_owner_and_chain() -> None:
    owner = address(ALICE.public)
    message = bodies.device_register_bytes(CHAIN, owner, BOB.public)
    _, body = transactions.device_register(BOB.public, BOB.sign(message))
    read = bodies.read_device_register(body)
    assert read.device == BOB.public and read.device.verify(message, read.signature)
    assert bodies.device_register_bytes("other", owner, BOB.public) != message


def batch(**changes: object) -> bodies.ProofBatch:
    entries = (bodies.BatchEntry(b"\x02" * 20, 1, 2, 0, 0, None, 5), bodies.BatchEntry(b"\x01" * 20, 1, 2, 3, 4, 9, 6))
    batch = bodies.ProofBatch(b"\x09" * 20, "work", 4, b"\x05" * 32, 2, 700, 11, None, entries)
    return replace(batch, **changes)  # type: ignore[arg-type]


def test_a_batch_is_written_in_order_of_owners_and_read_back() -> None:
    _, body = transactions.proof_batch(batch())
    read = bodies.read_proof_batch(body)
    assert [entry.owner[0] for entry in read.entries] == [1, 2]
    assert replace(read, entries=tuple(reversed(read.entries))) == batch()


def test_a_batch_whose_sum_or_order_is_wrong_is_malformed() -> None:
    with pytest.raises(Malformed):
        bodies.read_proof_batch(transactions.proof_batch(batch(sum=12))[1])
    _, body = transactions.proof_batch(batch())
    body[8].reverse()
    with pytest.raises(Malformed):
        bodies.read_proof_batch(body)


def test_amounts_are_shown_and_read_as_decimals() -> None:
    assert transactions.format_ankr(1_250_000_000_000_000_000) == "1.25"
    assert transactions.format_ankr(5 * ANKR) == "5"
    assert transactions.format_ankr(1) == "0.000000000000000001"
    assert transactions.format_ankr(-ANKR // 2) == "-0.5"
    assert transactions.parse_ankr("1.25") == 1_250_000_000_000_000_000
    for wrong in ("", "-1", "1e3", ".5", "1.", "0.0000000000000000001", "9" * 30, "１"):
        with pytest.raises(Malformed):
            transactions.parse_ankr(wrong)
