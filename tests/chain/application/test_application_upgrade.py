"""An upgrade as a node lives it: the old program halts before the height, the new one goes on from what is there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain.application.abci import RequestFinalizeBlock, RequestInfo, RequestPrepareProposal
from chain.application.app import Application
from chain.errors import Faulty
from chain.ledger import upgrades
from chain.wire.governance import upgrade
from chain.wire.transactions import ANKR, sign, transfer
from tests.chain.application.conftest import (
    CHAIN_ID,
    GENESIS_NS,
    OWNERS,
    VALIDATORS,
    Chain,
    address,
    as_proposal,
)

UPGRADE_HEIGHT = 7


@pytest.fixture
def planned(chain: Chain) -> Chain:
    """Three of four operators agreed on rules 2; the next block is the first that follows them."""
    chain.block([chain.payment(100 * ANKR, address(owner.public)) for owner in OWNERS])
    votes = [sign(owner, CHAIN_ID, upgrade(2, UPGRADE_HEIGHT), nonce=0, fee=6 * ANKR).encode() for owner in OWNERS[:3]]
    assert [result.code for result in chain.block(votes).tx_results] == [0] * 4
    while chain.app.height < UPGRADE_HEIGHT - 1:
        chain.block([chain.from_hub(transfer(bytes(20), 1))])
    return chain


def the_block_after(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> RequestFinalizeBlock:
    """What a proposer with the new program proposes."""
    with monkeypatch.context() as patch:
        patch.setattr(upgrades, "KNOWN_RULES", frozenset({1, 2}))
        return chain.proposal()


def test_the_old_program_halts_before_the_height_and_loses_nothing(
    planned: Chain, new_application: Callable[[str], Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, before = planned.app, planned.app.info(RequestInfo())
    block = the_block_after(planned, monkeypatch)
    with pytest.raises(Faulty, match="upgrade_needed: block 7 follows version 2 of the rules, this program 1"):
        app.finalize_block(block)
    with pytest.raises(Faulty, match="upgrade_needed"):
        app.process_proposal(as_proposal(block))
    with pytest.raises(Faulty, match="upgrade_needed"):
        app.prepare_proposal(RequestPrepareProposal(1000, (), None, UPGRADE_HEIGHT, GENESIS_NS, VALIDATORS[0]))
    again = new_application("first")
    assert again.info(RequestInfo()) == before and before.last_block_height == UPGRADE_HEIGHT - 1
    with pytest.raises(Faulty, match="upgrade_needed"):
        again.finalize_block(block)


def test_a_program_that_knows_both_goes_on_by_itself_or_after_a_restart(
    planned: Chain, new_application: Callable[[str], Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    block = the_block_after(planned, monkeypatch)
    monkeypatch.setattr(upgrades, "KNOWN_RULES", frozenset({1, 2}))
    first = planned.app.finalize_block(block)
    planned.app.discard()
    assert new_application("first").finalize_block(block).app_hash == first.app_hash
