"""The bodies of transfers, registrations and proofs: how they are built and how they are read, field by field.

Those of other subjects stand in modules of their own, such as `staking`.

A builder returns the content of a transaction, its type and body; a `read_…` function checks the shape of a decoded
body and raises `malformed`. What a body means is the ledger's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from chain.crypto.address import ADDRESS_BYTES, device_id
from chain.crypto.keys import PublicKey
from chain.errors import Malformed
from chain.wire import cbor
from chain.wire.amounts import MAX_AMOUNT
from chain.wire.kinds import DEVICE_REGISTER, DEVICE_REVOKE, POG_COMMIT, PROOF_BATCH, TRANSFER, Content

DEVICE_REGISTER_TAG = "dccn/device-register/v1"
MAX_ENTRIES = 10_000
_MAX_COUNTER = (1 << 64) - 1


class Transfer(NamedTuple):
    """`[to, amount]`: the recipient's 20 bytes and 10^-18 ANKR."""

    to: bytes
    amount: int


class DeviceRegister(NamedTuple):
    """`[device COSE_Key, device_signature]`: the device agrees to be the sender's."""

    device: PublicKey
    signature: bytes


class BatchEntry(NamedTuple):
    """One account's proven work in a reward epoch; `work` in micro-ANKR per hour, `p95_ms` None until measured."""

    owner: bytes
    heartbeats_valid: int
    heartbeats_expected: int
    pog_passed: int
    pog_failed: int
    p95_ms: int | None
    work: int


@dataclass(frozen=True, slots=True)
class ProofBatch:
    """All records of a reward epoch behind one Merkle-sum root; `bytes` is the size of the `count` leaves."""

    hub: bytes
    kind: str
    reward_epoch: int
    root: bytes
    count: int
    bytes: int
    sum: int
    certificate: Any
    entries: tuple[BatchEntry, ...]


@dataclass(frozen=True, slots=True)
class PogCommit:
    """The root of a challenge's sorted commitments."""

    hub: bytes
    challenge_height: int
    root: bytes
    count: int


def transfer(to: bytes, amount: int) -> Content:
    return TRANSFER, [to, amount]


def device_register(device: PublicKey, signature: bytes) -> Content:
    """`signature` is the device's over `device_register_bytes`."""
    return DEVICE_REGISTER, [device.cose(), signature]


def device_revoke(device: bytes) -> Content:
    """`[device id]` by the owner."""
    return DEVICE_REVOKE, [device]


def device_register_bytes(chain_id: str, owner: bytes, device: PublicKey) -> bytes:
    """What a device signs to become `owner`'s (20 bytes) on this chain."""
    return cbor.encode([DEVICE_REGISTER_TAG, chain_id, owner, device_id(device)])


def proof_batch(batch: ProofBatch) -> Content:
    """Entries are put into ascending order of owner address."""
    entries = [list(entry) for entry in sorted(batch.entries, key=lambda entry: entry.owner)]
    head = [batch.hub, batch.kind, batch.reward_epoch, batch.root, batch.count, batch.bytes, batch.sum]
    return PROOF_BATCH, [*head, batch.certificate, entries]


def pog_commit(hub: bytes, challenge_height: int, root: bytes, count: int) -> Content:
    return POG_COMMIT, [hub, challenge_height, root, count]


def read_transfer(body: Sequence[Any]) -> Transfer:
    if len(body) != 2 or not _is_bytes(body[0], ADDRESS_BYTES) or not _is_integer(body[1], MAX_AMOUNT):
        raise Malformed("malformed", "a transfer is [recipient's 20 bytes, amount from 0 to 2^128 - 1]")
    return Transfer(body[0], body[1])


def read_device_register(body: Sequence[Any]) -> DeviceRegister:
    """Also raises `bad_key`."""
    if len(body) != 2 or not _is_bytes(body[1], 64):
        raise Malformed("malformed", "a registration is [device COSE_Key, signature of 64 bytes]")
    return DeviceRegister(PublicKey.from_cose(body[0]), body[1])


def read_device_revoke(body: Sequence[Any]) -> bytes:
    """The device id (32 bytes)."""
    if len(body) != 1 or not _is_bytes(body[0], 32):
        raise Malformed("malformed", "a revocation is [device id of 32 bytes]")
    return bytes(body[0])


def read_proof_batch(body: Sequence[Any]) -> ProofBatch:
    """Entries must ascend strictly by owner and their work add up to `sum`."""
    if len(body) != 9 or type(body[8]) is not list:
        raise Malformed("malformed", "a proof batch has nine items, the last an array of entries")
    hub, kind, reward_epoch, root, count, size, total, certificate, rows = body
    if not _is_bytes(hub, ADDRESS_BYTES) or type(kind) is not str or not _is_bytes(root, 32):
        raise Malformed("malformed", "a proof batch starts with [hub's 20 bytes, kind, reward epoch, root of 32 bytes]")
    if not all(_is_integer(value, _MAX_COUNTER) for value in (reward_epoch, count, size)):
        raise Malformed("malformed", "reward epoch, count and bytes of a batch are integers from 0 to 2^64 - 1")
    if not _is_integer(total, MAX_AMOUNT) or len(rows) > MAX_ENTRIES:
        raise Malformed("malformed", f"a batch has a sum below 2^128 and at most {MAX_ENTRIES} entries")
    entries = tuple(_read_entry(row) for row in rows)
    if any(left.owner >= right.owner for left, right in pairwise(entries)):
        raise Malformed("malformed", "the entries of a batch ascend by owner, one for each")
    if sum(entry.work for entry in entries) != total:
        raise Malformed("malformed", f"the entries' work does not add up to the batch's sum {total}")
    return ProofBatch(hub, kind, reward_epoch, root, count, size, total, certificate, entries)


def read_pog_commit(body: Sequence[Any]) -> PogCommit:
    if len(body) != 4 or not _is_bytes(body[0], ADDRESS_BYTES) or not _is_bytes(body[2], 32):
        raise Malformed("malformed", "a PoG commitment is [hub's 20 bytes, challenge height, root of 32 bytes, count]")
    if not _is_integer(body[1], _MAX_COUNTER) or not _is_integer(body[3], _MAX_COUNTER):
        raise Malformed("malformed", "challenge height and count are integers from 0 to 2^64 - 1")
    return PogCommit(*body)


def _read_entry(row: Any) -> BatchEntry:
    if type(row) is not list or len(row) != 7 or not _is_bytes(row[0], ADDRESS_BYTES):
        raise Malformed("malformed", "an entry of a batch has seven items, the first an owner's 20 bytes")
    counters = (*row[1:5], 0 if row[5] is None else row[5])
    if not all(_is_integer(value, _MAX_COUNTER) for value in counters) or not _is_integer(row[6], MAX_AMOUNT):
        raise Malformed("malformed", "counters of a batch's entry are integers from 0, p95_ms may be null")
    return BatchEntry(*row)


def _is_bytes(value: Any, length: int) -> bool:
    return type(value) is bytes and len(value) == length


def _is_integer(value: Any, highest: int) -> bool:
    return type(value) is int and 0 <= value <= highest
