"""Defects 1, 2 and 10: what a header vouches for, what a block may hold, and what every machine must agree on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chain.application.abci import RequestQuery
from chain.application.app import Application
from chain.crypto.address import address
from chain.crypto.sparse_proof import EMPTY, SparseProof, verify_sparse
from chain.wire.state import Account, account_key
from chain.wire.transactions import ANKR, transfer
from tests.chain.application.conftest import HUB, OWNERS, Chain, chain, genesis_request, init_request, new_application
from tests.chain.ledger.world import CHAIN, World, account, key

__all__ = ["chain", "genesis_request", "new_application"]

RICH = account_key(address(HUB.public))


def test_1_no_forged_balance_is_proven_against_the_app_hash(chain: Chain) -> None:
    """There the header held the number of transactions, and a proof's own word for the root was believed."""
    chain.block([chain.payment()])
    chain.block([chain.payment()])
    answer = chain.app.query(RequestQuery("/state", RICH, 1, prove=True))
    proof, app_hash = SparseProof.decode(answer.proof_ops[0].data), chain.app_hashes[0]
    assert verify_sparse(app_hash, RICH, answer.value, proof)
    richer = Account.decode(answer.value)
    forgeries = [
        (app_hash, RICH, Account(richer.balance_atto + 1, richer.nonce).encode()),
        (app_hash, RICH, None),
        (app_hash, account_key(address(OWNERS[0].public)), answer.value),
        (chain.app_hashes[1], RICH, answer.value),
        (bytes(32), RICH, answer.value),
    ]
    assert not any(verify_sparse(root, name, value, proof) for root, name, value in forgeries)


def test_1_a_node_whose_state_differs_by_one_unit_has_another_app_hash(
    chain: Chain, new_application: Callable[[str], Application]
) -> None:
    """There diverging nodes never noticed."""
    app = new_application("other")
    other = Chain(app, app.init_chain(init_request()))
    assert chain.init.app_hash == other.init.app_hash != EMPTY
    assert chain.block([chain.payment(ANKR)]).app_hash != other.block([other.payment(ANKR + 1)]).app_hash


def test_2_a_proposer_cannot_slip_an_unverified_transaction_into_a_block(world: World) -> None:
    """There only the mempool checked signatures, nonces and gas; here the block does."""
    tx = world.sign("alice", transfer(account("mallory"), 900 * ANKR))
    for forged in (
        replace(tx, signature=bytes(64)),
        replace(tx, signature=key("mallory").sign(tx.sign_bytes(CHAIN))),
        replace(tx, body=[account("mallory"), 901 * ANKR]),
    ):
        assert world.block(forged.encode()).results[0].error == "bad_signature"
    assert world.block(world.sign("alice", transfer(account("mallory"), 1), nonce=5)).results[0].error == "tx_bad_nonce"
    assert world.block(world.sign("alice", transfer(account("mallory"), 1), fee=0)).results[0].error == "tx_fee_too_low"
    assert world.balance("alice") == 1_000 * ANKR


def test_10_events_and_results_do_not_depend_on_the_machine(world: World) -> None:
    """There tags carried the local wall clock."""
    twin = World(grants=[("alice", 1_000 * ANKR), ("mallory", 1_000 * ANKR)])
    twin.block()
    tx = world.sign("alice", transfer(account("bob"), ANKR))
    assert world.block(tx, after_s=9) == twin.block(tx, after_s=9)
    assert world.state.entries == twin.state.entries
