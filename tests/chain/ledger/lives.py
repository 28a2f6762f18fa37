"""Transactions of every type out of a few small numbers, for random lives of a chain."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from chain.wire import staking
from chain.wire.bodies import BatchEntry
from chain.wire.transactions import ANKR, Content, Transaction, pog_commit, sponsor, transfer
from tests.chain.ledger.world import CHAIN, World, account, key

PEOPLE = ("alice", "bob", "carol", "dave")
RICH = "rich"

Step = tuple[str, str, int, int]
"""What, who, and two numbers that fill in the rest."""


def transaction(world: World, step: Step, ahead: dict[str, int]) -> bytes:
    """The step's transaction, signed with the sender's next nonce in this block."""
    kind, name, one, two = step
    if kind == "noise":
        return one.to_bytes(8, "big") + two.to_bytes(16, "big")
    sender = "hub" if kind in FROM_HUB else name
    place = ahead.get(sender, 0)
    ahead[sender] = place + 1
    if kind == "register":
        return world.register(name, f"box-{one % 6}", ahead=place).encode()
    if kind == "sponsored":
        signed = world.sign(name, transfer(account(_person(one)), two), ahead=place, fee_payer=world.hub.public)
        return sponsor(signed, world.hub, CHAIN).encode()
    if kind == "batch":
        entry = BatchEntry(account(name), 3, 3, two % 3, two % 2, two % 500, two % 10**6)
        return _batch(world, one, entry, place).encode()
    return world.sign(sender, CONTENTS[kind](name, one, two), ahead=place, fee=5 * ANKR + two % 9).encode()


def _batch(world: World, one: int, entry: BatchEntry, place: int) -> Transaction:
    return world.batch(max(0, world.epoch - one % 3), entry, ahead=place)


def _person(number: int) -> str:
    return (*PEOPLE, RICH)[number % 5]


def _keys(name: str, number: int) -> staking.ProducerKeys:
    place = number % 3
    return staking.prove_keys(CHAIN, account(name), key(f"{name} c{place}"), key(f"{name} v{place}").secret)


def _bond(name: str, one: int, two: int) -> Content:
    registration = None if one % 2 else staking.Registration(name, _keys(name, two) if one % 3 else None)
    amount = two if name != RICH else two * 2_000
    return staking.bond(1 + amount, registration)


CONTENTS: dict[str, Callable[[str, int, int], Content]] = {
    "transfer": lambda name, one, two: transfer(account(_person(one)), two),
    "commit": lambda name, one, two: pog_commit(account("hub"), one % 30, bytes(32), 1),
    "bond": _bond,
    "unbond": lambda name, one, two: staking.unbond(1 + two // (1 + one % 9)),
    "add_key": lambda name, one, two: staking.add_key(_keys(name, one)),
    "rotate_key": lambda name, one, two: staking.rotate_key(two % 2, _keys(name, one)),
    "unjail": lambda name, one, two: staking.unjail(),
}
FROM_HUB = ("batch", "commit")
KINDS = ("noise", "register", "sponsored", "batch", *CONTENTS)

steps = st.tuples(st.sampled_from(KINDS), st.sampled_from((*PEOPLE, RICH)), st.integers(0, 60), st.integers(0, 10**21))
