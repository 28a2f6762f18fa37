"""A log of blocks that is never to be executed otherwise: replayed on every Python version that we support.

When a format or a rule changes on purpose, write it again: DCCN_WRITE_GOLDEN=1 pytest tests/chain/application
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from chain.application.abci import (
    BlockIDFlag,
    CommitInfo,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInitChain,
    RequestQuery,
    ValidatorUpdate,
    VoteInfo,
)
from chain.application.app import Application
from chain.wire import cbor
from chain.wire.state import CLOCK_KEY, SUPPLY_KEY, Clock, Supply
from chain.wire.transactions import ANKR, pog_commit

GOLDEN = Path(__file__).parents[2] / "data" / "golden-blocks.cbor"


def test_the_golden_blocks_give_the_golden_app_hashes(new_application: Callable[[str], Application]) -> None:
    genesis, first_hash, blocks = cbor.decode(GOLDEN.read_bytes())
    app = new_application("golden")
    time_ns, chain_id, validators, app_state = genesis
    updates = tuple(ValidatorUpdate(public, power) for public, power in validators)
    assert app.init_chain(RequestInitChain(time_ns, chain_id, updates, app_state)).app_hash == first_hash
    for *request, app_hash, codes in blocks:
        answer = app.finalize_block(read_block(request))
        assert (answer.app_hash, [result.code for result in answer.tx_results]) == (app_hash, codes), (
            f"block {request[3]}"
        )
        app.commit(RequestCommit())
    assert len(blocks) > 30


def test_the_golden_blocks_are_what_fixed_keys_and_the_rules_of_proposals_make(
    chain, genesis_request: RequestInitChain
) -> None:
    names = ("ada", "grace", "edsger")
    answers = [chain.block(), chain.block([chain.registration(name) for name in names])]
    for _ in range(36):
        txs = [chain.payment(ANKR + chain.nonce, to=bytes([chain.nonce]) * 20)] if chain.app.height % 4 == 0 else []
        if chain.app.height % 6 == 0:
            txs.append(chain.batch(names, _epoch(chain) - 1))
        if chain.app.height % 12 == 1:
            txs.append(chain.from_hub(pog_commit(bytes(20), chain.app.height, bytes(32), 1)))
        answers.append(chain.block(txs))
    supply = Supply.decode(_value(chain, SUPPLY_KEY))
    assert supply.total_atto == 10**10 * ANKR
    assert supply.mining_atto < 4 * 10**9 * ANKR
    validators = [[each.public, each.power] for each in genesis_request.validators]
    genesis = [genesis_request.time_ns, genesis_request.chain_id, validators, genesis_request.app_state_bytes]
    blocks = [
        [*write_block(request), answer.app_hash, [result.code for result in answer.tx_results]]
        for request, answer in zip(chain.log, answers, strict=True)
    ]
    content = cbor.encode([genesis, chain.init.app_hash, blocks])
    if "DCCN_WRITE_GOLDEN" in os.environ:
        GOLDEN.write_bytes(content)
    assert content == GOLDEN.read_bytes()


def write_block(request: RequestFinalizeBlock) -> list[object]:
    votes = [
        [vote.validator_address, vote.validator_power, int(vote.block_id_flag)]
        for vote in request.decided_last_commit.votes
    ]
    return [list(request.txs), votes, request.hash, request.height, request.time_ns, request.proposer_address]


def read_block(items: list) -> RequestFinalizeBlock:
    txs, votes, hash_, height, time_ns, proposer = items
    commit = CommitInfo(0, tuple(VoteInfo(address, power, BlockIDFlag(flag)) for address, power, flag in votes))
    return RequestFinalizeBlock(tuple(txs), commit, hash_, height, time_ns, proposer)


def _value(chain, key: bytes) -> bytes:
    return chain.app.query(RequestQuery("/state", key, chain.app.height)).value


def _epoch(chain) -> int:
    return Clock.decode(_value(chain, CLOCK_KEY)).reward_epoch
