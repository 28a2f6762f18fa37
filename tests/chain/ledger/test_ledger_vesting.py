"""Vesting out of a genesis document: linear after a cliff, never more than was reserved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.address import encode
from chain.errors import Malformed
from chain.ledger.genesis import Genesis, build_demo_app_state
from chain.ledger.machine import init_chain
from chain.ledger.vesting import vested
from chain.wire.transactions import ANKR
from chain.wire.vesting import vesting_release
from tests.chain.ledger.world import CHAIN, GENESIS_NS, DictState, World, account, key

TEAM_ATTO = 1_700_000_000 * ANKR


def app_state(amount_atto: int = 1_000 * ANKR, share: str = "team", **changes: int) -> dict[str, object]:
    world = World()
    rows = [
        (name, key(name).public, key(f"{name} consensus").public.x, bytes([n]) * 32)
        for n, name in enumerate(world.operators)
    ]
    document = build_demo_app_state(account("hub"), rows)
    row = {
        "address": encode(account("founder")),
        "amount_atto": str(amount_atto),
        "start_s": 10,
        "cliff_s": 100,
        "duration_s": 400,
        **changes,
    }
    next(each for each in document["allocation"] if each["share"] == share)["vesting"] = [row]
    return document


def test_what_vests_is_released_by_anybody_and_only_once() -> None:
    world = World()
    world.genesis, world.state = Genesis.parse(CHAIN, GENESIS_NS, app_state()), DictState()
    init_chain(world.state, world.genesis)
    world.block()
    errors = []
    for after_s in (109, 1, 0, 100, 1_000, 1):
        result = world.block(world.sign("hub", vesting_release(0)), after_s=after_s).results[0]
        errors.append((result.error, world.balance("founder") // ANKR))
    assert errors == [
        ("tx_duplicate", 0),
        ("", 250),
        ("tx_duplicate", 250),
        ("", 500),
        ("", 1_000),
        ("tx_duplicate", 1_000),
    ]
    assert dict(world.supply().reserved)["team"] == TEAM_ATTO - 1_000 * ANKR
    assert world.block(world.sign("hub", vesting_release(1))).results[0].error == "tx_not_registered"


@pytest.mark.parametrize(
    "state",
    [app_state(TEAM_ATTO + 1), app_state(share="mining"), app_state(cliff_s=401), app_state(start_s=-1)],
    ids=("more than the share", "mining", "cliff after the end", "before genesis"),
)
def test_a_genesis_that_vests_what_it_has_not_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        Genesis.parse(CHAIN, GENESIS_NS, state)


@given(st.integers(0, 10**28), st.integers(-10, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_vesting_never_falls_and_never_exceeds(amount: int, elapsed: int, cliff: int, duration: int) -> None:
    now, later = (vested(amount, seconds, cliff, duration) for seconds in (elapsed, elapsed + 1))
    assert 0 <= now <= later <= amount
    assert vested(amount, max(cliff, duration), cliff, duration) == amount
