"""Carries the outbox to the chain: signs, broadcasts, broadcasts again, and learns what became of it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, Protocol

from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.errors import REGISTRY, DccnError
from chain.light.inclusion import VerifiedTx
from chain.light.rpc import BroadcastAnswer
from chain.wire.state import Account, account_key, required_fee
from chain.wire.transactions import sign
from fleet.hub.chain.outbox import OutboxRow, open_rows, plan
from fleet.hub.chain.rules import ChainRules

FINAL_CODES: Final = frozenset(
    {"bad_signature", "malformed", "tx_unauthorised", "tx_unknown_type", "tx_overflow"}
    | {"tx_wrong_epoch", "tx_late", "tx_duplicate", "tx_unknown_device"}
    | {"tx_unknown_batch", "tx_not_proven", "delegation_invalid"}
)
"""Refused in CheckTx for good. The nonce is looked at first, so it is unused and no block holds this transaction."""
AGAIN_MS: Final = 2_000
"""What waits for a block is broadcast again this often, in case the node lost it."""
NONCE_UNUSED: Final = frozenset(
    {"bad_signature", "tx_bad_nonce", "tx_expired", "tx_fee_too_low", "tx_insufficient_funds", "tx_quota"}
)
SIGNATURE_ROOM_BYTES: Final = 128
"""What nonce, fee and signature may add to the unsigned bytes; the fee grows with the size."""
_NAMES: Final = {code.number: name for name, code in REGISTRY.items()}

_log = logging.getLogger(__name__)

Settled = Callable[[OutboxRow, int | None, str], None]
"""(row, height or None, code or ""): a block holds the transaction, or it was given up."""


class ChainAccess(Protocol):
    """What the sender asks of the chain; every answer but `broadcast` is proven."""

    def state(self, key: bytes) -> tuple[bytes | None, int]: ...

    def find(self, tx_hash: bytes) -> VerifiedTx | None: ...

    def broadcast(self, tx: bytes) -> BroadcastAnswer | None:
        """CheckTx's answer; None when the node has these bytes already."""


class Sender:
    """Works in the chain's thread. `problem` says why something cannot be sent, else None."""

    def __init__(self, key: PrivateKey, access: ChainAccess, now_ms: Callable[[], int], on_settled: Settled) -> None:
        self._key = key
        self._access = access
        self._now_ms = now_ms
        self._on_settled = on_settled
        self._bumped = (0, 0)
        self._broadcast_ms: dict[int, int] = {}
        self.problem: str | None = None

    def note_block(self, connection: sqlite3.Connection, height: int, transactions: Sequence[bytes]) -> None:
        """Settle the rows whose transactions this block holds."""
        waiting = {row.tx_hash: row for row in open_rows(connection) if row.tx_hash is not None}
        if not waiting:
            return
        for raw in transactions:
            row = waiting.get(sha256(raw).digest())
            if row is not None:
                found = self._access.find(sha256(raw).digest())
                code = "" if found is None or found.code == 0 else _NAMES.get(found.code, "check_failed")
                self._settle(connection, row, height, code)

    def step(self, connection: sqlite3.Connection, rules: ChainRules, newest_height: int) -> None:
        """Do whatever the open rows need now. Raises Unavailable when the node does not answer."""
        rows = open_rows(connection)
        if not rows:
            self.problem = None
            return
        made = plan(rows, self._account_nonce(), newest_height)
        if any(self._settle_if_found(connection, row) for row in (*made.lost, *made.expired) if row.tx_hash):
            return  # the nonces are other ones now
        for row in made.expired:
            self._settle(connection, row, None, "tx_expired")
        self.problem = None
        for row in made.again:
            if self._now_ms() - self._broadcast_ms.get(row.id, 0) >= AGAIN_MS:
                self._broadcast(connection, row, row.raw)
        for row, nonce in made.sign:
            self._broadcast(connection, row, self._sign(connection, row, nonce, rules))

    def _account_nonce(self) -> int:
        value, height = self._access.state(account_key(address(self._key.public)))
        nonce = Account.decode(value).nonce if value is not None else 0
        bumped_nonce, bumped_height = self._bumped
        return nonce if height >= bumped_height else max(nonce, bumped_nonce)

    def _sign(self, connection: sqlite3.Connection, row: OutboxRow, nonce: int, rules: ChainRules) -> bytes:
        """Persist the signed bytes before anybody sees them: after a crash the very same ones go out again."""
        before = row.transaction
        fee = required_fee(len(row.raw) + SIGNATURE_ROOM_BYTES, rules.parameters)
        raw = sign(
            self._key,
            rules.chain_id,
            (before.type, before.body),
            nonce=nonce,
            fee=fee,
            valid_until_height=before.valid_until_height,
        ).encode()
        connection.execute(
            "UPDATE outbox SET state = 'sent', nonce = ?, raw = ?, tx_hash = ?, sent_ms = ? WHERE id = ?",
            (nonce, raw, sha256(raw).digest(), self._now_ms(), row.id),
        )
        return raw

    def _broadcast(self, connection: sqlite3.Connection, row: OutboxRow, raw: bytes) -> None:
        connection.execute("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?", (row.id,))
        self._broadcast_ms[row.id] = self._now_ms()
        answer = self._access.broadcast(raw)
        if answer is None:
            return  # the node has it already
        code = "" if answer.code == 0 else _NAMES.get(answer.code, "check_failed")
        if code in FINAL_CODES:
            self._settle(connection, row, None, code)
        elif code not in ("", "tx_bad_nonce"):
            self.problem = f"the node does not take {row.subject}: {code}: {answer.log}"
            _log.warning("%s", self.problem)

    def _settle_if_found(self, connection: sqlite3.Connection, row: OutboxRow) -> bool:
        assert row.tx_hash is not None
        found = self._access.find(row.tx_hash)
        if found is None:
            return False
        self._settle(connection, row, found.height, "" if found.code == 0 else _NAMES.get(found.code, "check_failed"))
        return True

    def _settle(self, connection: sqlite3.Connection, row: OutboxRow, height: int | None, code: str) -> None:
        self._broadcast_ms.pop(row.id, None)
        state = "included" if height is not None and not code else "failed"
        connection.execute(
            "UPDATE outbox SET state = ?, height = ?, code = ? WHERE id = ?", (state, height, code or None, row.id)
        )
        if height is not None and row.nonce is not None and code not in NONCE_UNUSED:
            self._bumped = max(self._bumped, (row.nonce + 1, height))
        if code:
            _log.warning("%s failed: %s", row.subject, code)
        try:
            self._on_settled(row, height, code)
        except DccnError as error:
            _log.warning("after %s: %s", row.subject, error)
