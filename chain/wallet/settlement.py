"""From signed bytes to a proven end: broadcast, broadcast again, find, check the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from chain.crypto.address import address
from chain.errors import REGISTRY, DccnError, Refused, Unavailable
from chain.light.client import LightClient
from chain.light.inclusion import check_results, verified_tx
from chain.light.rpc import RpcClient
from chain.wire.amounts import format_ankr
from chain.wire.transactions import Transaction, decode

State = Literal["unknown", "included", "committed", "failed", "expired", "replaced", "waiting"]

NonceAt = Callable[[bytes], tuple[int, int]]
"""An account's next nonce, and the height at which it is proven."""

_NAMES = {code.number: name for name, code in REGISTRY.items()}


@dataclass(frozen=True, slots=True)
class Pacing:
    """How often a waiting client looks, and how often it broadcasts again."""

    poll_s: float = 0.2
    resend_s: float = 3.0


@dataclass(frozen=True, slots=True)
class TransactionStatus:
    """What is proven of a transaction.

    `committed`, `failed`: in the block of `height`, result proven by the next header. `included`: in the block, its
    result not provable yet. `expired`: never was and never will be in a block. `replaced`: its nonce went to another.
    `unknown`: this node knows no block with it. `waiting`: unknown when the time was up. `log` is the node's word.
    """

    hash: bytes
    state: State
    height: int | None = None
    index: int | None = None
    code: int | None = None
    log: str = ""
    transaction: Transaction | None = None

    @property
    def final(self) -> bool:
        return self.state in ("committed", "failed", "expired", "replaced")

    @property
    def code_name(self) -> str:
        """The registry's name of the result; empty for success or while there is none."""
        return code_name(self.code) if self.code else ""


def code_name(number: int) -> str:
    return _NAMES.get(number, "check_failed")


def check_funds(balance: int, unsigned: Transaction, amount: int) -> None:
    fee = unsigned.fee if unsigned.fee_payer is None else 0
    if balance < amount + fee:
        raise Refused(
            "tx_insufficient_funds",
            f"paying {format_ankr(amount)} ANKR and a fee of {format_ankr(fee)} from {format_ankr(balance)}",
        )


def send(rpc: RpcClient, light: LightClient, signed: Transaction) -> bytes:
    tx_hash = signed.hash
    try:
        answer = rpc.broadcast_tx_sync(signed.encode())
    except Refused as error:
        if error.code == "tx_duplicate":
            return tx_hash
        raise
    if answer.code and verified_tx(light, tx_hash) is None:
        name = code_name(answer.code)
        raise Refused(name, answer.log.removeprefix(f"{name}: ") or f"the node answers with code {answer.code}")
    return tx_hash


def status(rpc: RpcClient, light: LightClient, tx_hash: bytes) -> TransactionStatus:
    found = verified_tx(light, tx_hash)
    if found is None:
        return TransactionStatus(tx_hash, "unknown")
    transaction = _decoded(found.tx)
    if light.update().height <= found.height:
        return TransactionStatus(tx_hash, "included", found.height, found.index, None, "", transaction)
    results = check_results(rpc.block_results(found.height), light.header(found.height + 1))
    if found.index >= len(results.outcomes):
        raise Refused("proof_invalid", f"block {found.height} has no result for transaction {found.index}")
    outcome = results.outcomes[found.index]
    state: State = "failed" if outcome.code else "committed"
    log = outcome.log.removeprefix(f"{code_name(outcome.code)}: ") if outcome.code else outcome.log
    return TransactionStatus(tx_hash, state, found.height, found.index, outcome.code, log, transaction)


def wait(
    rpc: RpcClient,
    light: LightClient,
    nonce_at: NonceAt,
    signed: Transaction,
    timeout_s: float,
    pacing: Pacing,
    now_s: Callable[[], float],
    sleep_s: Callable[[float], None],
) -> TransactionStatus:
    start = sent = now_s()
    while True:
        found = _end_of(rpc, light, nonce_at, signed)
        if found.final:
            return found
        if now_s() - start >= timeout_s:
            return found if found.state == "included" else TransactionStatus(found.hash, "waiting")
        if found.state == "unknown" and now_s() - sent >= pacing.resend_s:
            sent = now_s()
            _send_again(rpc, light, signed)
        sleep_s(pacing.poll_s)


def _end_of(rpc: RpcClient, light: LightClient, nonce_at: NonceAt, signed: Transaction) -> TransactionStatus:
    """The nonce is read before the block is looked for: a nonce used by then, and no block, is another's doing."""
    nonce, height = nonce_at(address(signed.sender))
    found = status(rpc, light, signed.hash)
    if found.state != "unknown":
        return found
    if nonce > signed.nonce:
        return TransactionStatus(found.hash, "replaced")
    if signed.valid_until_height is not None and height >= signed.valid_until_height:
        return TransactionStatus(found.hash, "expired")
    return found


def _send_again(rpc: RpcClient, light: LightClient, signed: Transaction) -> None:
    """The node may have lost it, or be short of room for now; whether it is too late is found out by proof."""
    try:
        send(rpc, light, signed)
    except (Refused, Unavailable):
        return


def _decoded(raw: bytes) -> Transaction | None:
    try:
        return decode(raw)
    except DccnError:
        return None
