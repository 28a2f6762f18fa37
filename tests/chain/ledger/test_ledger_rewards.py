"""Proven work is paid when its challenge window is over, and every paid number can be recomputed."""

from __future__ import annotations

from dataclasses import replace

from chain.ledger.factors import Factors, Sums, score
from chain.ledger.parameters import Parameters
from chain.ledger.service_levels import after_report, after_silence, newcomer
from chain.wire.bodies import BatchEntry
from chain.wire.state import EpochSummary, Reward, ServiceLevel, epoch_key, reward_key, service_key
from chain.wire.transactions import ANKR, transfer
from tests.chain.ledger.world import World, account, perfect


def reward(world: World, name: str) -> Reward:
    data = world.state.get(reward_key(account(name)))
    assert data is not None
    return Reward.decode(data)


def summary(world: World, epoch: int) -> EpochSummary:
    data = world.state.get(epoch_key(epoch))
    assert data is not None
    return EpochSummary.decode(data)


def working_world(*owners: str, parameters: Parameters | None = None) -> World:
    """Every owner has a device; the reward epoch is 1."""
    world = World(parameters, grants=[("alice", 1_000 * ANKR)])
    world.block()
    world.block(*(world.register(owner, f"box of {owner}") for owner in owners))
    world.next_epoch()
    return world


def test_epoch_e_is_paid_at_the_boundary_that_ends_e_plus_1_plus_window() -> None:
    world = working_world("carol")
    assert world.block(world.batch(0, perfect("carol"))).results[0].ok
    assert world.epoch == 1
    world.next_epoch()
    assert world.balance("carol") == 0
    world.next_epoch()
    assert world.balance("carol") > 0
    assert (reward(world, "carol").closed_epoch, world.epoch) == (2, 3)
    provider = reward(world, "carol").provider
    assert provider is not None and provider.reward_epoch == 0
    assert summary(world, 2).settled_epoch == 0
    assert [(batch.hub, batch.sum_uankr_h) for batch in summary(world, 2).batches] == [(account("hub"), 20_000)]
    paid = world.balance("carol")
    world.next_epoch()
    assert world.balance("carol") == paid


def test_the_only_provider_gets_the_whole_provider_pool() -> None:
    world = working_world("carol")
    world.block(world.batch(0, perfect("carol")))
    world.next_epoch()
    world.next_epoch()
    closed = summary(world, 2)
    shared_out = closed.emission_atto + closed.fees_atto
    assert world.balance("carol") == closed.providers_atto == shared_out * 400 // 1_000
    assert closed.verifiers_atto == shared_out * 50 // 1_000
    assert closed.producers_atto <= shared_out * 300 // 1_000
    paid = closed.providers_atto + closed.producers_atto + closed.verifiers_atto
    assert paid + closed.returned_atto == shared_out


def test_the_explanation_holds_every_number_of_the_formula() -> None:
    world = working_world("carol", "dave")
    world.block(world.batch(0, perfect("carol", 20_000), perfect("dave", 60_000)._replace(heartbeats_valid=2)))
    world.next_epoch()
    world.next_epoch()
    for owner in ("carol", "dave"):
        why = reward(world, owner)
        provider = why.provider
        assert provider is not None
        sums = Sums(provider.stake_sum_atto, provider.fees_paid_sum_atto, provider.work_sum_uankr_h, 0)
        own = Factors(provider.quality, provider.stake_atto, provider.fees_paid_atto, provider.work_uankr_h)
        assert score(own, sums, world.parameters) == provider.score
        assert provider.pool_atto * provider.score // provider.score_sum == provider.amount_atto
        assert why.amount_atto == why.total_atto == provider.amount_atto == world.balance(owner)
    assert world.balance("dave") > 2 * world.balance("carol")


def test_producers_share_by_precommits_and_know_why() -> None:
    world = World()
    world.block()
    validators = [world.validator(name) for name in world.operators]
    pending = tuple((validator, 1) for validator in validators[:3])
    flags = tuple(zip(validators, (2, 1, 3, 1), strict=True))
    world.run(replace(world.block_input(after_s=3), precommits=flags, meta=pending))
    counts = {name: reward(world, name).producer for name in world.operators[:3]}
    assert {name: why.count for name, why in counts.items() if why} == {
        "operator-1": 2, "operator-2": 1, "operator-3": 1,
    }  # fmt: skip
    pool = summary(world, 0).emission_atto * 300 // 1_000
    assert [world.balance(name) for name in world.operators] == [pool * 2 // 4, pool // 4, pool // 4, 0]


def test_fees_are_shared_out_with_the_emission_of_their_epoch() -> None:
    world = working_world()
    world.block(world.sign("alice", transfer(account("bob"), 1)))
    world.next_epoch()
    assert summary(world, 1).fees_atto == ANKR
    assert world.supply().reward_pool_atto == 0


def test_what_nobody_earned_goes_back_to_the_mining_pool() -> None:
    world = World()
    world.block()
    before = world.supply().mining_atto
    block = world.block_input(after_s=3)
    world.run(replace(block, precommits=()))
    assert world.supply().mining_atto == before
    assert summary(world, 0).returned_atto == summary(world, 0).emission_atto > 65 * ANKR


def test_missed_boundaries_are_closed_one_by_one() -> None:
    world = working_world("carol")
    world.block(world.batch(0, perfect("carol")))
    world.block(after_s=30)
    assert world.epoch == 11
    assert [summary(world, epoch).settled_epoch for epoch in range(11)] == [None, None, *range(9)]
    assert summary(world, 2).providers_atto == world.balance("carol") > 0
    assert {summary(world, epoch).returned_atto for epoch in range(4, 11)} == {summary(world, 4).emission_atto}
    assert [summary(world, epoch).height for epoch in (0, 1, 10)] == [3, 5, 5]


def test_a_long_halt_ends_in_the_same_state_as_its_boundaries_one_by_one() -> None:
    def after_halt(parameters: Parameters) -> dict[bytes, bytes]:
        world = working_world("carol", parameters=parameters)
        world.block(world.batch(0, perfect("carol")))
        world.block(after_s=3 * 400)
        return world.state.entries

    few = after_halt(replace(Parameters.demo(), epoch_summaries_kept=20, election_epoch_s=10**6))
    all_kept = after_halt(replace(Parameters.demo(), epoch_summaries_kept=10**6, election_epoch_s=10**6))
    summaries = [key for key in few if key.startswith(b"epoch/")]
    assert len(summaries) == 20 and epoch_key(400) in summaries
    different = {key for key in few.keys() | all_kept.keys() if few.get(key) != all_kept.get(key)}
    assert different == {b"parameters"} | {epoch_key(epoch) for epoch in range(381)}


def test_a_year_of_halt_is_passed_in_no_time() -> None:
    world = working_world("carol")
    world.block(after_s=365 * 86_400)
    assert world.epoch > 10_000_000
    assert summary(world, world.epoch - 1).returned_atto == summary(world, world.epoch - 1).emission_atto


def test_at_most_so_many_accounts_are_credited_in_a_block() -> None:
    owners = [f"owner-{n}" for n in range(7)]
    world = working_world(*owners, parameters=replace(Parameters.demo(), credits_per_block=3))
    world.block(world.batch(0, *sorted((perfect(owner) for owner in owners), key=lambda entry: entry.owner)))
    world.next_epoch()
    while world.supply().payable_atto:
        world.block()
    before = {name: world.balance(name) for name in (*owners, *world.operators, "hub")}
    outputs = [world.next_epoch(), world.block(), world.block(), world.block(), world.block()]
    credited = sum(world.balance(name) != amount for name, amount in before.items())
    assert credited == len(before) == 12
    assert [output.touches_state for output in outputs] == [True, True, True, True, False]
    assert world.supply().payable_atto == 0
    assert len({world.balance(owner) for owner in owners}) == 1


def test_service_levels_follow_the_settled_reports() -> None:
    world = working_world("carol")
    world.block(world.batch(0, perfect("carol")))
    world.next_epoch()
    world.next_epoch()
    data = world.state.get(service_key(account("carol")))
    assert data is not None
    level = ServiceLevel.decode(data)
    assert level.epoch == 0 and level.devices == 1
    assert level.quality > 600_000
    assert level.work_uankr_h == 4_000
    assert level.service_level == level.quality * 4_000 // 1_000_000


def test_silence_is_the_same_in_one_step_or_in_many() -> None:
    p = Parameters()
    report = BatchEntry(b"o" * 20, 59, 60, 3, 1, 250, 123_456)
    level = after_report(after_report(newcomer(p), report, 4, p), report, 5, p)
    at_once = after_silence(level, 1_000, p)
    for epoch in range(6, 1_001):
        level = after_silence(level, epoch, p)
    assert level == at_once
    assert at_once.work_uankr_h == 0 and at_once.service_level == 0
    assert after_silence(newcomer(p), 50, p) == newcomer(p)


def test_two_hubs_reports_on_one_owner_add_up() -> None:
    from chain.ledger.batches import Batch, merge_entries
    from chain.wire.state import BatchReference

    reference = BatchReference(bytes(20), bytes(32), 1, 1, 1, 1)
    one = perfect("carol")._replace(p95_ms=80)
    other = BatchEntry(account("carol"), 1, 2, 0, 1, 90, 5)
    merged = merge_entries((Batch(reference, (one,)), Batch(reference, (other,))))
    assert merged == [BatchEntry(account("carol"), 4, 5, 1, 1, 90, 20_005)]
