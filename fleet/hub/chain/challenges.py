"""Writes down every transaction that asks for a leaf of this hub's batches, before its block counts as taken in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from chain.crypto.address import address
from chain.errors import DccnError
from chain.wire.disputes import ProofChallenge, read_proof_challenge
from chain.wire.kinds import PROOF_CHALLENGE
from chain.wire.transactions import decode, is_beacon_tx
from fleet.hub.chain.follower import Block
from fleet.hub.chain.rules import ChainRules

MS_PER_S: Final = 1_000
MAX_STORED: Final = (1 << 63) - 1
"""SQLite's largest integer."""


def note_challenges(connection: sqlite3.Connection, block: Block, hub: bytes, rules: ChainRules) -> int:
    """Note the block's challenges to `hub` (20 bytes); how many are new.

    A block that is taken in again, after a crash, adds nothing. Whether the ledger accepted a challenge is not known
    yet: the next header says so.
    """
    deadline_ms = block.time_ms + rules.parameters["challenge_response_s"] * MS_PER_S
    noted = 0
    for at, challenger, asked in _challenges(block):
        if asked.hub != hub or max(asked.reward_epoch, asked.number) > MAX_STORED:
            continue  # no batch has such numbers
        noted += connection.execute(
            "INSERT OR IGNORE INTO leaf_challenges (height, tx_index, reward_epoch, position, challenger, asked_ms,"
            " deadline_ms, state, attempts) VALUES (?,?,?,?,?,?,?,'seen',0)",
            (block.height, at, asked.reward_epoch, asked.number, challenger, block.time_ms, deadline_ms),
        ).rowcount
    return noted


def _challenges(block: Block) -> Iterator[tuple[int, bytes, ProofChallenge]]:
    """(index in the block, sender's address, what is asked for) of those that can be read."""
    for at, raw in enumerate(block.transactions):
        try:
            if is_beacon_tx(raw):
                continue
            transaction = decode(raw)
            if transaction.type == PROOF_CHALLENGE:
                yield at, address(transaction.sender), read_proof_challenge(transaction.body)
        except DccnError:
            continue  # anybody may send anything; the ledger refused it
