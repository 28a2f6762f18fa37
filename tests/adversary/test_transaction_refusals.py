"""Every way in which a transaction of every type can be wrong: refused in CheckTx, and in a block with the same code.

A block's transactions may never have been checked: its proposer can be dishonest, and so can two thirds of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.keys import PrivateKey
from chain.errors import REGISTRY
from chain.wire import kinds, transactions
from chain.wire.state import required_fee
from tests.adversary.busy_chain import BusyChain, Good
from tests.chain.ledger.world import CHAIN, FEE, key

ALL_TYPES = sorted(set(kinds.TYPES) - {kinds.BEACON})
NAMES = {code.number: name for name, code in REGISTRY.items()} | {0: ""}
LARGEST_NONCE = 2**64 - 1
BEYOND_AMOUNTS = 2**128


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusyChain]:
    chain = BusyChain(tmp_path_factory.mktemp("chain") / "state")
    yield chain
    chain.store.close()


def envelope(
    chain: BusyChain,
    good: Good,
    *,
    signer: PrivateKey | None = None,
    chain_id: str = CHAIN,
    fee_signer: PrivateKey | None = None,
    **changed: Any,
) -> list[Any]:
    """The ten items of the good transaction, with changes that no builder would make, signed as if they were right."""
    sender, (kind, body) = key(good.sender), good.content
    fee_payer = None if fee_signer is None else changed.pop("fee_payer", fee_signer.public).cose()
    items: dict[str, Any] = {
        "version": 1,
        "type": kind,
        "sender": sender.public.cose(),
        "nonce": chain.account(good.sender).nonce,
        "fee": FEE,
        "valid_until_height": None,
        "body": body,
        "fee_payer": fee_payer,
    }
    unsigned = list((items | changed).values())
    message = cbor2.dumps([transactions.SIGN_TAG, chain_id, *unsigned])
    fee_signature = None if fee_signer is None else fee_signer.sign(message)
    return [*unsigned, (signer or sender).sign(message), fee_signature]


def refused(chain: BusyChain, tx: bytes, *, proposable: bool, charged: bool = False) -> str:
    """The code with which both CheckTx and the block refuse; an honest validator's vote is as expected.

    What is refused before its fee is taken leaves the block as if it had not been there.
    """
    code, after = refusal(chain, tx)
    _, without = chain.execute(b"")
    assert chain.is_proposable(tx) == proposable
    assert (after != without) == charged
    return code


def refusal(chain: BusyChain, tx: bytes) -> tuple[str, bytes]:
    """The code with which both CheckTx and the block refuse, and the app hash after the block."""
    (executed,), after = chain.execute(tx)
    checked = chain.check(tx)
    assert NAMES[checked] == NAMES[executed] != ""
    return NAMES[checked], after


Spoil = Callable[[BusyChain, Good], bytes]


def spoilt(**changed: Any) -> Spoil:
    return lambda chain, good: cbor2.dumps(envelope(chain, good, **changed))


def damaged(change: Callable[[bytes], bytes]) -> Spoil:
    return lambda chain, good: change(cbor2.dumps(envelope(chain, good)))


def rearranged(change: Callable[[list[Any]], list[Any]]) -> Spoil:
    return lambda chain, good: cbor2.dumps(change(envelope(chain, good)))


def long_integer(tx: bytes) -> bytes:
    """The version, 1, in two bytes."""
    assert tx[:2] == b"\x8a\x01"
    return b"\x8a\x18\x01" + tx[2:]


def swapped_key(tx: bytes) -> bytes:
    """The sender's COSE_Key with its first two members in the other order."""
    at = tx.index(b"\xa3\x01\x01\x20\x06")
    return tx[: at + 1] + b"\x20\x06\x01\x01" + tx[at + 5 :]


def padded(chain: BusyChain, good: Good) -> bytes:
    kind, body = good.content
    return cbor2.dumps(envelope(chain, Good(good.sender, (kind, [*body, bytes(transactions.MAX_BYTES)]))))


UNREADABLE: dict[str, tuple[str, Spoil]] = {
    "empty": ("malformed", lambda chain, good: b""),
    "a stray byte before it": ("malformed", damaged(lambda tx: b"\xff" + tx)),
    "a stray byte after it": ("non_canonical", damaged(lambda tx: tx + b"\x00")),
    "cut off": ("malformed", damaged(lambda tx: tx[:-1])),
    "nine items": ("malformed", rearranged(lambda items: items[:9])),
    "eleven items": ("malformed", rearranged(lambda items: [*items, None])),
    "another version": ("malformed", spoilt(version=2)),
    "an integer in too many bytes": ("non_canonical", damaged(long_integer)),
    "an array of indefinite length": ("non_canonical", damaged(lambda tx: b"\x9f" + tx[1:] + b"\xff")),
    "map keys out of order": ("non_canonical", damaged(swapped_key)),
    "oversized": ("too_large", padded),
    "a nonce over 2^64 - 1": ("malformed", spoilt(nonce=LARGEST_NONCE + 1)),
    "a nonce below 0": ("malformed", spoilt(nonce=-1)),
    "a fee over 2^128 - 1": ("malformed", spoilt(fee=BEYOND_AMOUNTS)),
    "a fee below 0": ("malformed", spoilt(fee=-1)),
    "a fee with a fraction": ("malformed", spoilt(fee=float(FEE))),
    "a body that is no array": ("malformed", spoilt(body={})),
    "a sender that is no key": ("bad_key", spoilt(sender={1: 1, -1: 6, -2: bytes(31)})),
    "a signature of 63 bytes": ("malformed", rearranged(lambda items: [*items[:8], items[8][:-1], None])),
    "a fee signature without a fee payer": ("malformed", rearranged(lambda items: [*items[:9], items[8]])),
}
BADLY_SIGNED: dict[str, Spoil] = {
    "for another chain": spoilt(chain_id="dccn-mainnet"),
    "by another key": spoilt(signer=key("mallory's other key")),
    "not at all": rearranged(lambda items: [*items[:8], b"", None]),
    "with one bit turned": damaged(lambda tx: tx[:-2] + bytes([tx[-2] ^ 1]) + tx[-1:]),
    "for another amount": rearranged(lambda items: [*items[:4], items[4] + 1, *items[5:]]),
    "for a sponsor who did not": rearranged(lambda items: [*items[:7], key("hub").public.cose(), items[8], b""]),
    "for a sponsor by another": spoilt(fee_signer=key("mallory's other key"), fee_payer=key("hub").public),
}


def next_nonce(chain: BusyChain, good: Good) -> int:
    return chain.account(good.sender).nonce


def used(chain: BusyChain, good: Good) -> Good:
    """The same content from somebody whose nonce 0 was used."""
    return good if next_nonce(chain, good) else Good("hub", good.content)


def underpaid(chain: BusyChain, good: Good) -> bytes:
    size = len(cbor2.dumps(envelope(chain, good)))
    return cbor2.dumps(envelope(chain, good, fee=required_fee(size, chain.parameters.by_name) - 1))


NOT_ADMITTED: dict[str, tuple[str, Spoil]] = {
    "underpaid by one unit": ("tx_fee_too_low", underpaid),
    "unpaid": ("tx_fee_too_low", spoilt(fee=0)),
    "dearer than its payer": ("tx_insufficient_funds", spoilt(fee=BEYOND_AMOUNTS - 1)),
    "a nonce too early": ("tx_bad_nonce", lambda c, g: cbor2.dumps(envelope(c, g, nonce=next_nonce(c, g) + 1))),
    "a nonce that was used": ("tx_bad_nonce", lambda c, g: cbor2.dumps(envelope(c, used(c, g), nonce=0))),
    "the last nonce of all": ("tx_bad_nonce", spoilt(nonce=LARGEST_NONCE)),
    "expired": ("tx_expired", lambda c, g: cbor2.dumps(envelope(c, g, valid_until_height=c.height))),
    "sponsored by its own sender": ("malformed", lambda c, g: cbor2.dumps(envelope(c, g, fee_signer=key(g.sender)))),
    "of a type that nobody knows": ("tx_unknown_type", spoilt(type=max(ALL_TYPES) + 1)),
    "of the largest type": ("tx_unknown_type", spoilt(type=LARGEST_NONCE)),
    "of the proposer's type": ("tx_system", spoilt(type=kinds.BEACON)),
}


def test_the_table_has_a_good_transaction_of_every_type(chain: BusyChain) -> None:
    goods = chain.good()
    assert sorted(goods) == ALL_TYPES
    assert {kind: good.content[0] for kind, good in goods.items()} == {kind: kind for kind in ALL_TYPES}
    for kind, good in goods.items():
        codes, _ = chain.execute(cbor2.dumps(envelope(chain, good)))
        assert NAMES[codes[0]] == good.refusal, kinds.TYPES[kind]


@pytest.mark.parametrize("fault", UNREADABLE)
@pytest.mark.parametrize("kind", ALL_TYPES, ids=kinds.TYPES.get)
def test_what_cannot_be_read_is_refused(chain: BusyChain, kind: int, fault: str) -> None:
    code, spoil = UNREADABLE[fault]
    assert refused(chain, spoil(chain, chain.good()[kind]), proposable=False) == code


@pytest.mark.parametrize("fault", BADLY_SIGNED)
@pytest.mark.parametrize("kind", ALL_TYPES, ids=kinds.TYPES.get)
def test_what_is_badly_signed_is_refused(chain: BusyChain, kind: int, fault: str) -> None:
    tx = BADLY_SIGNED[fault](chain, chain.good()[kind])
    assert refused(chain, tx, proposable=False) == "bad_signature"


@pytest.mark.parametrize("fault", NOT_ADMITTED)
@pytest.mark.parametrize("kind", ALL_TYPES, ids=kinds.TYPES.get)
def test_what_is_not_admitted_is_refused_and_costs_nothing(chain: BusyChain, kind: int, fault: str) -> None:
    code, spoil = NOT_ADMITTED[fault]
    assert refused(chain, spoil(chain, chain.good()[kind]), proposable=True) == code


def test_what_is_replayed_is_refused(tmp_path: Path) -> None:
    """Every good transaction is checked and then taken, all in one block; afterwards none of them is taken again."""
    chain = BusyChain(tmp_path / "state")
    ahead, txs = Counter[str](), []
    for good in chain.good().values():
        if not good.refusal:
            txs.append(cbor2.dumps(envelope(chain, good, nonce=next_nonce(chain, good) + ahead[good.sender])))
            ahead[good.sender] += 1
    assert [chain.check(tx) for tx in txs] == [0] * len(txs)
    assert {NAMES[chain.check(tx)] for tx in txs} == {"tx_bad_nonce"}
    chain.settle(*txs)
    assert {refused(chain, tx, proposable=True) for tx in txs} == {"tx_bad_nonce"}
    chain.store.close()


def test_what_was_refused_for_its_content_is_not_taken_later(tmp_path: Path) -> None:
    """It cost its fee and its nonce; so it cannot wait for a day on which it would be right."""
    chain = BusyChain(tmp_path / "state")
    tx = cbor2.dumps(envelope(chain, chain.good()[kinds.UNJAIL]))
    assert refused(chain, tx, proposable=True, charged=True) == "tx_jailed"
    chain.block(tx)
    assert [NAMES[result.code] for result in chain.results] == ["tx_jailed"]
    assert refused(chain, tx, proposable=True) == "tx_bad_nonce"
    chain.store.close()


WRONG: dict[str, dict[str, Any]] = {
    "version": {"version": 2},
    "unknown type": {"type": max(ALL_TYPES) + 1},
    "proposer's type": {"type": kinds.BEACON},
    "late nonce": {"nonce": LARGEST_NONCE},
    "nonce beyond": {"nonce": LARGEST_NONCE + 1},
    "no fee": {"fee": 0},
    "a fee beyond": {"fee": BEYOND_AMOUNTS},
    "a fee beyond the balance": {"fee": BEYOND_AMOUNTS - 1},
    "expired": {"valid_until_height": 1},
    "empty body": {"body": []},
    "long body": {"body": [None] * 12},
    "another signer": {"signer": key("mallory's other key")},
    "another chain": {"chain_id": "dccn-mainnet"},
    "a sponsor without money": {"fee_signer": key("pauper")},
}


@given(st.sampled_from(ALL_TYPES), st.lists(st.sampled_from(sorted(WRONG)), min_size=1, max_size=4))
def test_whatever_is_wrong_at_once_both_refuse_it_for_the_same_reason(
    chain: BusyChain, kind: int, faults: list[str]
) -> None:
    changed = {name: value for fault in faults for name, value in WRONG[fault].items()}
    tx = cbor2.dumps(envelope(chain, chain.good()[kind], **changed))
    (executed,), _ = chain.execute(tx)
    assert executed == 0 or NAMES[chain.check(tx)] == NAMES[executed]
