"""An application whose chain has its proposers drawn on CometBFT: updates, replays, blocks that are taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from chain.application import block_meta
from chain.application.abci import RequestCommit, RequestInfo, RequestInitChain, ResponseCommit, ValidatorUpdate
from chain.application.app import Application
from chain.application.store import StateStore

POWER = 10**9


@pytest.fixture
def led_genesis(genesis_request: RequestInitChain) -> RequestInitChain:
    app_state = json.loads(genesis_request.app_state_bytes)
    app_state["parameters"]["validator_power"] = POWER
    return replace(
        genesis_request,
        validators=tuple(ValidatorUpdate(each.public, POWER) for each in genesis_request.validators),
        app_state_bytes=json.dumps(app_state).encode(),
    )


@pytest.fixture
def led_chain(chain, new_application: Callable[[str], Application], led_genesis: RequestInitChain):
    app = new_application("led")
    return type(chain)(app, app.init_chain(led_genesis))


def test_a_chain_of_small_powers_is_left_alone(chain) -> None:
    assert all(chain.block([chain.payment()]).validator_updates == () for _ in range(6))


def test_idle_blocks_draw_proposers_and_keep_the_app_hash(led_chain) -> None:
    led_chain.block([led_chain.payment()])
    led_chain.to_next_boundary()
    before = led_chain.app_hashes[-1]
    answers = [led_chain.block() for _ in range(3)]
    assert {answer.app_hash for answer in answers} == {before}
    # A key that is next anyhow needs no update; over many blocks some do.
    updates = [update for _ in range(20) for update in led_chain.block().validator_updates]
    assert updates and all(POWER <= update.power <= POWER + 8 for update in updates)


def test_the_same_blocks_draw_the_same_proposers_on_a_fresh_store_and_after_restarts(
    led_chain, new_application: Callable[[str], Application], led_genesis: RequestInitChain
) -> None:
    answers = [led_chain.block([led_chain.payment()] if height % 3 else []) for height in range(14)]
    again = new_application("again")
    again.init_chain(led_genesis)
    for number, (request, expected) in enumerate(zip(led_chain.log, answers, strict=True)):
        if number % 5 == 4:
            again = new_application("again")
        assert again.finalize_block(request) == expected
        again.commit(RequestCommit())
    assert len({update for answer in answers for update in answer.validator_updates}) > 1


def test_a_block_that_is_taken_back_leaves_nothing_and_can_be_run_again(led_chain) -> None:
    led_chain.block([led_chain.payment()])
    app, request = led_chain.app, led_chain.proposal([led_chain.payment()])
    first = app.finalize_block(request)
    app.discard()
    assert (app.height, app.info(RequestInfo()).last_block_app_hash) == (1, led_chain.app_hashes[0])
    assert app.finalize_block(request) == first
    app.commit(RequestCommit())
    app.discard()
    assert app.height == 2


def test_the_mirror_of_cometbfts_rotation_is_stored_with_the_height(led_chain, tmp_path) -> None:
    led_chain.block()
    store: StateStore = led_chain.app._store
    rotation = block_meta.rotation(store)
    assert rotation is not None and len(rotation.standings) == 4
    led_chain.app.finalize_block(led_chain.proposal())
    assert block_meta.rotation(store) == rotation
    led_chain.app.commit(RequestCommit())
    # The proposer has paid for its turn, so no two heights have the same priorities.
    assert block_meta.rotation(store) != rotation


def test_an_engine_may_forget_what_is_older_than_the_retained_blocks(
    chain, tmp_path, genesis_request: RequestInitChain
) -> None:
    store = StateStore(tmp_path / "retained")
    app = Application(store, vrf_keys=chain.app._vrf_keys, retained_blocks=3)
    kept = type(chain)(app, app.init_chain(genesis_request))
    answers = []
    for _ in range(5):
        app.finalize_block(kept.proposal())
        answers.append(app.commit(RequestCommit()))
    store.close()
    assert answers == [ResponseCommit(height) for height in (0, 0, 0, 1, 2)]
