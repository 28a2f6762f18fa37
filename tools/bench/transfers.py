"""Transfers through the state machine, every signature verified, against bare signature verification."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from nacl.bindings import crypto_sign_open

from chain.crypto import vrf
from chain.crypto.address import address, validator_address
from chain.crypto.keys import PrivateKey
from chain.ledger import overlay
from chain.ledger.genesis import Genesis, build_demo_app_state
from chain.ledger.machine import BlockInput, execute_block, init_chain
from chain.wire import transactions
from chain.wire.amounts import ANKR
from chain.wire.bodies import transfer
from chain.wire.transactions import sign
from tools.bench.measure import Row, interleaved

CHAIN_ID = "bench"
SENDERS = 200
TRANSFERS = 2_000
SECOND_NS = 10**9


class MemoryState(dict[bytes, bytes]):
    """The ledger's state in a dictionary: its own cost is next to nothing."""

    def put(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.pop(key, None)
        else:
            self[key] = value


def rows() -> Iterator[Row]:
    operator, owner = account("operator"), account("owner")
    senders = [account(f"sender {number}") for number in range(SENDERS)]
    grants = [(address(sender.public), 10_000 * ANKR) for sender in senders]
    operators = [("seed", owner.public, operator.public.x, vrf.public_key(bytes(32)))]
    app_state = build_demo_app_state(address(owner.public), operators, grants=grants)
    state = MemoryState()
    init_chain(state, Genesis.parse(CHAIN_ID, 0, app_state))
    proposer = validator_address(operator.public.x)
    block = BlockInput(CHAIN_ID, 1, SECOND_NS, proposer, ((proposer, 2),), bytes(32), transfers(senders))
    signed = [b"".join(pair) for pair in signatures(senders[0], TRANSFERS)]
    public = senders[0].public.x

    def ours() -> None:
        transactions._decode_small.cache_clear()  # as if no CheckTx had read them before
        overlay._account.cache_clear()
        overlay._account_bytes.cache_clear()
        outcome = execute_block(MemoryState(state), block)
        assert all(result.ok for result in outcome.results), outcome.results[0]

    def bare() -> None:
        for message in signed:
            crypto_sign_open(message, public)

    taken, limit = interleaved(ours, bare)
    per_second = TRANSFERS / taken
    yield Row(
        "transfers through the ledger, signatures verified",
        per_second,
        "per s and core",
        "bare Ed25519 verifications per s",
        TRANSFERS / limit,
        (">=", 0.6),
    )


def account(name: str) -> PrivateKey:
    return PrivateKey.from_secret("ed25519", hashlib.sha256(name.encode()).digest())


def transfers(senders: list[PrivateKey]) -> tuple[bytes, ...]:
    recipients = [address(sender.public) for sender in senders]
    return tuple(
        sign(
            senders[number % SENDERS],
            CHAIN_ID,
            transfer(recipients[(number * 7 + 1) % SENDERS], ANKR),
            nonce=number // SENDERS,
            fee=5 * ANKR,
        ).encode()
        for number in range(TRANSFERS)
    )


def signatures(key: PrivateKey, count: int) -> Iterator[tuple[bytes, bytes]]:
    """(signature, message) of as many messages of a transaction's length."""
    for number in range(count):
        message = number.to_bytes(160, "big")
        yield key.sign(message), message
