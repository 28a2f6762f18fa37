"""What two thirds of the stake decide, and what no stake can; data centers and revoked devices."""

from __future__ import annotations

import pytest

from chain.crypto.address import device_id
from chain.ledger.governance import FIXED, is_carried
from chain.ledger.parameters import decode
from chain.ledger.upgrades import rules_at
from chain.wire.bodies import device_revoke
from chain.wire.data_centers import DataCenter, data_center_key, data_center_register, data_center_revoke
from chain.wire.governance import UPGRADE_KEY, Upgrade, parameter_change, role, upgrade
from chain.wire.staking import unbond
from chain.wire.state import Device, device_key, hub_key
from chain.wire.transactions import ANKR, Content, transfer
from tests.chain.ledger.lives import two_records
from tests.chain.ledger.world import FEE, World, account, key, perfect

OPERATORS = tuple(f"operator-{number}" for number in range(1, 5))


@pytest.fixture
def world() -> World:
    world = World(grants=[("mallory", 100 * ANKR)])
    world.block()
    world.block(*(world.sign("hub", transfer(account(name), 100 * FEE), ahead=n) for n, name in enumerate(OPERATORS)))
    return world


def vote(world: World, name: str, content: Content, fee: int = FEE) -> str:
    return world.block(world.sign(name, content, fee=fee)).results[0].error


def test_two_thirds_of_the_stake_make_a_hub_and_unmake_it(world: World) -> None:
    grant = role(True, account("second hub"), "second")
    assert [vote(world, name, grant) for name in OPERATORS[:2]] == ["", ""]
    assert hub_key(account("second hub")) not in world.state.entries
    assert vote(world, "operator-1", grant) == "tx_duplicate"
    assert vote(world, "mallory", grant) == "tx_unauthorised"
    assert vote(world, "operator-3", grant) == "" and hub_key(account("second hub")) in world.state.entries
    assert vote(world, "operator-4", grant) == "tx_duplicate"
    for name in OPERATORS[:3]:
        assert vote(world, name, role(False, account("second hub"), "second")) == ""
    assert hub_key(account("second hub")) not in world.state.entries
    assert not any(entry.startswith(b"motion/") for entry in world.state.entries)


def test_parameters_change_by_two_thirds_and_count_from_the_next_transaction_on(world: World) -> None:
    change = parameter_change({"transaction_fee_atto": 7 * ANKR, "sponsor_quota": 3})
    for name in OPERATORS[:2]:
        vote(world, name, change)
    dearer = [world.sign("operator-3", change), world.sign("operator-4", transfer(account("x"), 1))]
    assert [result.error for result in world.block(*dearer).results] == ["", "tx_fee_too_low"]
    now = decode(world.state.entries[b"parameters"])
    assert (now.transaction_fee_atto, now.sponsor_quota) == (7 * ANKR, 3)


@pytest.mark.parametrize(
    "changes",
    [{"nonsense": 1}, *({name: 1} for name in FIXED), {"providers_permille": 401}, {"seats": 0}, {}],
    ids=str,
)
def test_what_no_stake_can_change(world: World, changes: dict[str, int]) -> None:
    assert vote(world, "operator-1", parameter_change(changes)) == "malformed"


def test_a_vote_counts_what_is_staked_when_it_is_counted(world: World) -> None:
    grant = role(True, account("second hub"), "second")
    vote(world, "operator-1", grant)
    vote(world, "operator-1", unbond(100_000 * ANKR))
    vote(world, "operator-2", grant)  # of three that are left, one counts: 1/3
    assert hub_key(account("second hub")) not in world.state.entries
    vote(world, "operator-3", grant)
    assert hub_key(account("second hub")) in world.state.entries


def test_votes_for_an_old_motion_begin_anew(world: World) -> None:
    grant = role(True, account("second hub"), "second")
    vote(world, "operator-1", grant)
    vote(world, "operator-2", grant)
    world.block(after_s=world.parameters.motion_s + 1)
    vote(world, "operator-3", grant)
    assert hub_key(account("second hub")) not in world.state.entries
    assert vote(world, "operator-1", grant) == "" and vote(world, "operator-2", grant) == ""
    assert hub_key(account("second hub")) in world.state.entries


def test_a_raised_minimum_bond_unlists_who_no_longer_reaches_it(world: World) -> None:
    assert vote(world, "operator-4", unbond(1)) == ""
    for name in OPERATORS[:3]:
        vote(world, name, parameter_change({"min_bond_atto": 100_000 * ANKR + 1}))
    assert vote(world, "operator-1", role(True, account("x"), "x")) == "tx_unauthorised"


def test_two_thirds_is_two_thirds() -> None:
    assert [is_carried(*each) for each in ((2, 3), (199, 300), (200, 300), (0, 0), (1, 1))] == [
        True, False, True, False, True,
    ]  # fmt: skip


def test_a_data_center_registers_changes_and_leaves(world: World) -> None:
    entry = data_center_key(account("mallory"))
    assert vote(world, "mallory", data_center_revoke()) == "tx_not_registered"
    assert vote(world, "mallory", data_center_register("rack 7", "eu-west", bytes(32))) == ""
    assert vote(world, "mallory", data_center_register("rack 8", "eu-west", b"c" * 32)) == ""
    stored = DataCenter.decode(world.state.entries[entry])
    assert (stored.name, stored.certificate) == ("rack 8", b"c" * 32)
    assert vote(world, "mallory", data_center_revoke()) == "" and entry not in world.state.entries
    assert vote(world, "mallory", data_center_register("", "eu", bytes(32))) == "malformed"


def test_a_device_is_revoked_by_its_owner_and_free_again_when_its_work_is_settled(world: World) -> None:
    box = device_id(key("box").public)
    world.block(world.register("mallory", "box"))
    assert vote(world, "operator-1", device_revoke(box)) == "tx_unauthorised"
    assert vote(world, "mallory", device_revoke(box)) == ""
    assert device_key(box) not in world.state.entries
    assert vote(world, "mallory", device_revoke(box)) == "tx_unknown_device"
    assert world.block(world.register("operator-1", "box")).results[0].error == "tx_known_device"
    for _ in range(world.parameters.challenge_window_epochs + 3):
        world.next_epoch()
    assert world.block(world.register("operator-1", "box")).results[0].ok
    assert Device.decode(world.state.entries[device_key(box)]).owner == account("operator-1")


def test_a_revocation_in_the_last_moment_neither_voids_a_batch_nor_hides_a_contradiction(world: World) -> None:
    world.block(world.register("mallory", "box"), world.register("carol", "box-2"))
    world.next_epoch(world.sign("mallory", device_revoke(device_id(key("box").public))))
    report = world.batch(world.epoch - 1, perfect("mallory"), perfect("carol"))
    assert world.block(report).results[0].ok
    assert vote(world, "mallory", two_records("box", 1, 1)) == ""


def decide(world: World, content: Content) -> list[str]:
    return [vote(world, name, content) for name in OPERATORS[:3]]


def test_two_thirds_plan_an_upgrade_and_take_it_back(world: World) -> None:
    height = world.height + 100
    assert decide(world, upgrade(2, height)) == ["", "", ""]
    assert [rules_at(world.state.get, each) for each in (height - 1, height)] == [1, 2]
    assert vote(world, "operator-4", upgrade(2, height)) == "tx_duplicate"
    assert decide(world, upgrade(3, height + 1)) == ["", "", ""]
    assert [rules_at(world.state.get, each) for each in (height, height + 1)] == [1, 3]
    assert decide(world, upgrade(0, 0)) == ["", "", ""]
    assert UPGRADE_KEY not in world.state.entries
    assert vote(world, "operator-4", upgrade(0, 0)) == "tx_not_registered"


def test_a_second_upgrade_follows_a_first_that_holds(world: World) -> None:
    assert decide(world, upgrade(2, world.height + 4)) == ["", "", ""]
    world.block()
    assert rules_at(world.state.get, world.height + 1) == 2
    assert decide(world, upgrade(5, 1_000)) == ["", "", ""]
    assert Upgrade.decode(world.state.entries[UPGRADE_KEY]) == Upgrade(2, 5, 1_000)
    assert decide(world, upgrade(0, 0)) == ["", "", ""]
    assert [rules_at(world.state.get, each) for each in (world.height + 1, 1_000)] == [2, 2]


@pytest.mark.parametrize(
    "plan", [(1, 1_000), (2, 0), (0, 1_000), (2, 1), (2**32 + 1, 1_000), (2, 2**63)], ids=lambda plan: f"{plan}"
)
def test_no_upgrade_leads_back_or_begins_in_the_past(world: World, plan: tuple[int, int]) -> None:
    assert vote(world, "operator-1", upgrade(*plan)) == "malformed"
    assert vote(world, "mallory", upgrade(2, 1_000)) == "tx_unauthorised"
