"""Defects 3, 4, 9 and 11: whose key moves whose money, how often, and who else may."""

from __future__ import annotations

from typing import Any

import pytest

from chain.crypto.address import address
from chain.node.rpc_methods import RpcMethods
from chain.wire.kinds import BEACON, TYPES
from chain.wire.transactions import ANKR, sign, transfer
from tests.chain.ledger import lives
from tests.chain.ledger.world import FEE, World, account, key

VICTIMS = (*lives.PEOPLE, lives.RICH)


def test_3_a_transfer_signed_by_any_key_moves_only_that_keys_money(world: World) -> None:
    """There the sender's address was a field of its own; here it is the hash of the key that signed."""
    assert world.block(world.sign("mallory", transfer(account("mallory"), 500 * ANKR))).results[0].ok
    assert world.balance("alice") == 1_000 * ANKR
    assert world.balance("mallory") == 1_000 * ANKR - FEE


def test_3_an_address_is_bound_to_algorithm_and_key() -> None:
    ed25519, p256 = key("alice"), key("alice", "p256")
    assert address(ed25519.public) != address(p256.public)


def test_4_no_nonce_is_accepted_twice_or_out_of_order(world: World) -> None:
    """There every nonce but 0 was."""
    accepted = [
        nonce
        for nonce in (3, 99, 0, 0, 2, 1)
        if world.block(world.sign("alice", transfer(account("bob"), 1), nonce=nonce)).results[0].ok
    ]
    assert accepted == [0, 1]


def test_4_a_signature_for_one_chain_is_worthless_on_another(world: World) -> None:
    foreign = sign(key("alice"), "dccn-mainnet", transfer(account("mallory"), ANKR), nonce=0, fee=FEE)
    assert world.block(foreign).results[0].error == "bad_signature"


@pytest.mark.parametrize("kind", [kind for kind in lives.CONTENTS if kind not in ("double_sign", "contradiction")])
def test_9_no_transaction_of_a_stranger_takes_what_is_anothers(kind: str) -> None:
    """There a contract set anybody's balance, and a call that it did not declare cost no gas.

    No transaction runs foreign code here; each pays its fee, also when its content is refused.
    """
    world = World(grants=[(name, 10_000 * ANKR) for name in ("mallory", *VICTIMS)])
    world.block()
    world.block(*(world.register(name, f"box-{number}") for number, name in enumerate(VICTIMS)))
    for victim in VICTIMS:
        for step in ("deal_open", "multisig_create", "bond"):
            world.block(lives.transaction(world, (step, victim, 6, 10**18), {}))
    before = {name: world.balance(name) for name in VICTIMS}
    for one in range(12):
        for two in (0, 1, 10**18, 9_000 * ANKR):
            spent = world.balance("mallory")
            result = world.block(world.sign("mallory", lives.CONTENTS[kind]("mallory", one, two))).results[0]
            assert result.charged and result.gas_used > 0 and world.balance("mallory") <= spent - FEE
    assert all(world.balance(name) >= before[name] for name in VICTIMS)


def test_11_no_key_is_an_administrator(world: World) -> None:
    """There four keys in the source could do everything; here every transaction type moves only the sender's own."""
    for kind in TYPES:
        for body in ([account("alice"), 900 * ANKR], [account("alice")], []):
            world.block(world.sign("hub", (kind, body)))
    assert world.balance("alice") >= 1_000 * ANKR
    assert world.balance("mallory") == 1_000 * ANKR


def test_11_a_node_is_never_told_a_private_key() -> None:
    """There a service made keys for its users, and took them over HTTP to sign; here a node is asked and told this."""
    unbound: Any = object.__new__(RpcMethods)
    parameters = {parameter.name for route in unbound.routes().values() for parameter in route.parameters}
    assert parameters == {
        *("height", "hash", "tx", "limit", "page", "per_page", "minHeight", "maxHeight", "path", "data", "prove")
    }
    assert BEACON in TYPES and not any("generate" in name or "sign" in name for name in unbound.routes())
