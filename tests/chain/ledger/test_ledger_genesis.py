"""The genesis document: the note's shares, checked sums, one hash."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chain.errors import Malformed
from chain.ledger.genesis import Genesis, build_demo_app_state, genesis_hash, load_allocation
from chain.ledger.operators import vrf_public
from chain.ledger.parameters import SUPPLY_ATTO
from chain.ledger.recount import recount
from chain.ledger.seats import seated_keys
from chain.ledger.supply import total_supply
from chain.wire.transactions import ANKR
from tests.chain.ledger.world import CHAIN, GENESIS_NS, World, account, key


def app_state() -> dict[str, Any]:
    rows = [(f"op-{n}", key(f"op-{n}").public, bytes([n]) * 32, bytes([n + 9]) * 32) for n in range(1, 5)]
    return build_demo_app_state(account("hub"), rows)


def test_the_shares_are_the_notes_and_add_up() -> None:
    shares = {row["share"]: int(row["amount_atto"]) * 1_000 // SUPPLY_ATTO for row in load_allocation()}
    assert shares == {
        "public_sale": 50, "private_sale_1": 30, "private_sale_2": 120, "private_sale_3": 150, "team": 170,
        "advisors": 15, "advisors_reserve": 15, "marketing": 50, "mining": 400,
    }  # fmt: skip
    assert sum(int(row["amount_atto"]) for row in load_allocation()) == SUPPLY_ATTO == 10**10 * ANKR


def test_the_demo_takes_the_hubs_million_and_four_bonds_from_marketing() -> None:
    world = World()
    supply = world.supply()
    assert world.balance("hub") == 1_000_000 * ANKR
    assert supply.bonds_atto == 4 * 100_000 * ANKR
    assert dict(supply.reserved)["marketing"] == (500_000_000 - 1_000_000 - 400_000) * ANKR
    assert supply.mining_atto == 4_000_000_000 * ANKR
    assert total_supply(world.state) == SUPPLY_ATTO
    assert recount(world.state.entries.items()) == supply


def test_the_genesis_operators_are_seated() -> None:
    world = World()
    expected = tuple(key(f"{name} consensus").public.x for name in world.operators)
    assert seated_keys(world.state) == expected == tuple(public for public, _ in world.genesis.validators())
    assert vrf_public(world.state, world.validator("operator-1")) is not None
    assert vrf_public(world.state, bytes(20)) is None


def _reshare(state: dict[str, Any]) -> None:
    state["allocation"][0]["amount_atto"] = "1"


def _overdraw(state: dict[str, Any]) -> None:
    state["operators"][0]["bond_atto"] = str(500_000_000 * ANKR)


def _spend_mining(state: dict[str, Any]) -> None:
    state["operators"][0]["bond_share"] = "mining"


def _unknown_share(state: dict[str, Any]) -> None:
    state["operators"][0]["bond_share"] = "elsewhere"


def _float_amount(state: dict[str, Any]) -> None:
    state["allocation"][0]["amount_atto"] = 5.0e26


def _negative(state: dict[str, Any]) -> None:
    state["allocation"][0]["amount_atto"] = "-5"


def _shared_key(state: dict[str, Any]) -> None:
    state["operators"][1]["keys"] = state["operators"][0]["keys"]


def _no_operators(state: dict[str, Any]) -> None:
    state["operators"] = []


def _bad_parameter(state: dict[str, Any]) -> None:
    state["parameters"]["providers_permille"] = 500


def _unknown_parameter(state: dict[str, Any]) -> None:
    state["parameters"]["fee"] = 5


def _twice(state: dict[str, Any]) -> None:
    state["hubs"].append(state["hubs"][0])


def _bad_address(state: dict[str, Any]) -> None:
    state["hubs"][0]["address"] = "ankr1qqqq"


@pytest.mark.parametrize(
    "spoil",
    [
        _reshare, _overdraw, _spend_mining, _unknown_share, _float_amount, _negative, _shared_key, _no_operators,
        _bad_parameter, _unknown_parameter, _twice, _bad_address,
    ],
)  # fmt: skip
def test_a_wrong_genesis_is_refused(spoil: Any) -> None:
    state = app_state()
    Genesis.parse(CHAIN, GENESIS_NS, copy.deepcopy(state))
    spoil(state)
    with pytest.raises(Malformed):
        Genesis.parse(CHAIN, GENESIS_NS, state)


def test_the_genesis_hash_names_chain_time_and_content() -> None:
    document = {"chain_id": CHAIN, "genesis_time": "2026-01-01T00:00:00Z", "app_state": app_state()}
    one = genesis_hash(document)
    assert len(one) == 32
    assert genesis_hash({**document, "genesis_time": "2026-01-01T00:00:00.000Z", "validators": []}) == one
    assert genesis_hash({**document, "chain_id": "other"}) != one
    assert genesis_hash({**document, "genesis_time": "2026-01-01T00:00:01Z"}) != one
    assert Genesis.parse_document(document).chain_id == CHAIN
    with pytest.raises(Malformed):
        genesis_hash({"chain_id": CHAIN})
