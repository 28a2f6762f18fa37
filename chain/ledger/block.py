"""What goes into the state machine and what comes out: blocks, checks, results, events."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

import msgspec

from chain.errors import REGISTRY, Refused
from chain.ledger.overlay import Overlay
from chain.ledger.parameters import Parameters

FLAG_ABSENT, FLAG_COMMIT, FLAG_NIL = 1, 2, 3
OK = 0


class Event(msgspec.Struct, frozen=True):
    """Something that happened, for indexers: attributes as text, addresses and ids in hex, amounts in atto."""

    type: str
    attributes: tuple[tuple[str, str], ...]


class Outcome(msgspec.Struct, frozen=True):
    """Result of a transaction: `code` 0, or the number of `error` in `chain.errors.REGISTRY` and why in `log`.

    `charged` tells whether the fee was taken and the nonce used: a transaction that its payer signed and can pay, but
    whose content is refused, costs its fee. Gas is the transaction's size in bytes.
    """

    code: int = OK
    error: str = ""
    log: str = ""
    gas_wanted: int = 0
    gas_used: int = 0
    charged: bool = False
    events: tuple[Event, ...] = ()

    @property
    def ok(self) -> bool:
        return self.code == OK


TxResult = Outcome


def refusal(error: Refused, size_bytes: int, *, charged: bool) -> Outcome:
    """The outcome of a transaction that was turned down."""
    number = REGISTRY[error.code].number
    return Outcome(number, error.code, error.message, size_bytes, size_bytes if charged else 0, charged)


@dataclass(frozen=True, slots=True)
class BlockInput:
    """A decided block as the ledger needs it.

    `proposer` and the addresses in `precommits` are CometBFT's 20 bytes; `precommits` is the block's LastCommit with
    block-id flags (2: for the block). `transactions` come without the beacon's (number 0). `verified` holds the hashes
    (SHA-256 of the bytes) of transactions whose signatures are known to be good; all others are verified here. `meta`
    counts, per validator address, the precommits of idle blocks since the last block that touched the state.
    `misbehavior` is the engine's own evidence of double signs: (validator address, height of the offence).
    """

    chain_id: str
    height: int
    time_ns: int
    proposer: bytes
    precommits: tuple[tuple[bytes, int], ...]
    beacon: bytes
    transactions: tuple[bytes, ...] = ()
    verified: Container[bytes] = field(default=())
    meta: tuple[tuple[bytes, int], ...] = ()
    misbehavior: tuple[tuple[bytes, int], ...] = ()


@dataclass(frozen=True, slots=True)
class BlockOutput:
    """One result per transaction, the block's own events, changed validators as (Ed25519 public key, power).

    `touches_state` False means that nothing was written: the block's participation is to be handed in later as `meta`.
    """

    results: tuple[TxResult, ...]
    events: tuple[Event, ...]
    validator_updates: tuple[tuple[bytes, int], ...]
    touches_state: bool


@dataclass(frozen=True, slots=True)
class CheckContext:
    """Where the next block would stand: its height, the last block's time; and whether signatures are known good."""

    chain_id: str
    height: int
    time_ns: int
    verified: bool = False


@dataclass(slots=True)
class Execution:
    """A block while it runs."""

    overlay: Overlay
    parameters: Parameters
    chain_id: str
    height: int
    time_ns: int
    genesis_time_ns: int
    reward_epoch: int
    election_epoch: int
    fees_atto: int = 0
    seated_before: tuple[bytes, ...] | None = None
    events: list[Event] = field(default_factory=list)
