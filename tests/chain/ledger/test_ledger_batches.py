"""Proof batches and PoG commitments: who may report what, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chain.wire.bodies import BatchEntry, ProofBatch
from chain.wire.state import POG_CHALLENGE_KEY, PogChallenge, PogCommitment, pog_commitment_key
from chain.wire.transactions import ANKR, pog_commit, proof_batch
from tests.chain.ledger.world import FEE, World, account, perfect


@pytest.fixture
def world() -> World:
    """Carol and Dave have a device each; the reward epoch is 1."""
    world = World(grants=[("mallory", 1_000 * ANKR)])
    world.block()
    world.block(world.register("carol", "box"), world.register("dave", "box-2"))
    world.next_epoch()
    return world


def error(world: World, transaction: Any) -> str:
    return world.block(transaction).results[0].error


def test_an_epoch_is_reported_in_the_next_one_alone(world: World) -> None:
    assert error(world, world.batch(1, perfect("carol"))) == "tx_wrong_epoch"
    assert error(world, world.batch(2, perfect("carol"))) == "tx_wrong_epoch"
    assert error(world, world.batch(0, perfect("carol"))) == ""
    world.next_epoch()
    assert error(world, world.batch(0, perfect("carol"))) == "tx_wrong_epoch"
    assert error(world, world.batch(1, perfect("carol"))) == ""


def test_the_boundary_block_belongs_to_the_new_epoch(world: World) -> None:
    assert world.next_epoch(world.batch(0, perfect("carol"))).results[0].error == "tx_wrong_epoch"
    assert world.next_epoch(world.batch(2, perfect("carol"))).results[0].ok


def test_a_hub_reports_an_epoch_once(world: World) -> None:
    assert error(world, world.batch(0, perfect("carol"))) == ""
    assert error(world, world.batch(0, perfect("dave"))) == "tx_duplicate"


def test_only_hubs_report_and_only_in_their_own_name(world: World) -> None:
    assert error(world, world.batch(0, perfect("carol"), hub="mallory")) == "tx_unauthorised"
    batch = ProofBatch(account("hub"), "work", 0, bytes(32), 1, 1, 0, None, ())
    assert error(world, world.sign("mallory", proof_batch(batch))) == "tx_unauthorised"
    assert error(world, world.sign("mallory", pog_commit(account("hub"), 1, bytes(32), 1))) == "tx_unauthorised"


def test_owners_without_a_device_are_not_paid(world: World) -> None:
    assert error(world, world.batch(0, perfect("carol"), perfect("mallory"))) == "tx_unknown_device"
    assert error(world, world.batch(0, perfect("carol"))) == ""


def entry(**changes: Any) -> BatchEntry:
    return perfect("carol")._replace(**changes)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ({"kind": "play"}, "malformed"),
        ({"certificate": b"x"}, "malformed"),
        ({"sum": 19_999}, "malformed"),
        ({"root": bytes(31)}, "malformed"),
        ({"hub": bytes(19)}, "malformed"),
        ({"count": -1}, "malformed"),
        ({"reward_epoch": True}, "malformed"),
        ({"entries": (entry(), entry()), "sum": 40_000}, "malformed"),
        ({"entries": (entry(heartbeats_valid=-1),)}, "malformed"),
        ({"entries": (entry(pog_passed=1 << 40),)}, "tx_overflow"),
        ({"entries": (entry(p95_ms=1 << 40),)}, "tx_overflow"),
        ({"entries": (entry(work=1 << 90),), "sum": 1 << 90}, "tx_overflow"),
    ],
)
def test_a_malformed_batch_is_refused(world: World, batch: dict[str, Any], expected: str) -> None:
    good = ProofBatch(account("hub"), "work", 0, bytes(32), 1, 1, 20_000, None, (perfect("carol"),))
    assert error(world, world.sign("hub", proof_batch(replace(good, **batch)))) == expected
    assert error(world, world.sign("hub", proof_batch(good))) == ""


def test_entries_must_ascend(world: World) -> None:
    kind, body = proof_batch(
        ProofBatch(account("hub"), "work", 0, bytes(32), 1, 1, 40_000, None, (perfect("carol"), perfect("dave")))
    )
    backwards = [*body[:-1], body[-1][::-1]]
    assert error(world, world.sign("hub", (kind, backwards))) == "malformed"
    assert error(world, world.sign("hub", (kind, body))) == ""


def test_an_empty_batch_is_a_report_too(world: World) -> None:
    assert error(world, world.batch(0)) == ""


def challenge(world: World) -> PogChallenge:
    data = world.state.get(POG_CHALLENGE_KEY)
    assert data is not None
    return PogChallenge.decode(data)


def test_a_challenge_is_the_first_block_of_every_second_epoch() -> None:
    world = World()
    heights = []
    for _ in range(5):
        world.next_epoch() if world.height else world.block()
        heights.append(challenge(world).height)
    assert heights == [1, 1, 3, 3, 5]
    world.block(after_s=60)
    assert challenge(world).height == world.height


def test_a_commitment_answers_the_newest_challenge_within_its_window(world: World) -> None:
    world.next_epoch()
    newest = challenge(world).height
    assert newest == world.height
    assert error(world, world.sign("hub", pog_commit(account("hub"), 1, bytes(32), 2))) == "tx_late"
    assert error(world, world.sign("hub", pog_commit(account("hub"), newest + 1, bytes(32), 2))) == "tx_late"
    tx = world.sign("hub", pog_commit(account("hub"), newest, b"r" * 32, 2))
    assert world.block(tx, after_s=3).results[0].ok
    data = world.state.get(pog_commitment_key(account("hub")))
    assert data is not None and PogCommitment.decode(data) == PogCommitment(newest, b"r" * 32, 2, world.height)
    assert error(world, world.sign("hub", pog_commit(account("hub"), newest, bytes(32), 2))) == "tx_duplicate"


def test_a_commitment_after_the_window_is_late(world: World) -> None:
    world.next_epoch()
    block = world.block_input([world.sign("hub", pog_commit(account("hub"), world.height, bytes(32), 1))], 3)
    assert world.run(replace(block, time_ns=block.time_ns + 1)).results[0].error == "tx_late"


def test_refused_reports_still_cost_the_fee(world: World) -> None:
    before = world.balance("hub")
    assert error(world, world.batch(5, perfect("carol"))) == "tx_wrong_epoch"
    assert world.balance("hub") == before - FEE
