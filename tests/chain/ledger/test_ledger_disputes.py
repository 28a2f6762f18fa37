"""Disputes: a batch whose leaves cannot be shown, or show a fraud, counts nothing."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from chain.crypto import merkle_sum
from chain.crypto.address import device_id
from chain.ledger.operators import operator_key
from chain.ledger.parameters import Parameters
from chain.proofs.batch import Batch, BatchLeaf, build_batch, share_out
from chain.wire import disputes as wire
from chain.wire.bodies import proof_batch
from chain.wire.disputes import LeafProof, fraud_proof, proof_challenge, proof_response
from chain.wire.operators import Operator
from chain.wire.staking import Registration, bond
from chain.wire.transactions import ANKR
from tests.chain.ledger.lives import signed_record
from tests.chain.ledger.world import FEE, World, account, key, perfect

WORK = 20_000
BOND = 100 * ANKR
HUB_BOND = 1_000 * ANKR


def leaf_of(device: str, seq: int, work: int, raw: bytes | None = None) -> BatchLeaf:
    identifier = device_id(key(device).public)
    return BatchLeaf(identifier, b"c" * 16, seq, work, raw or signed_record(device, seq, seq).record)


def honest(count: int = 5) -> list[BatchLeaf]:
    return [leaf_of("box", seq, work) for seq, work in enumerate(share_out(WORK, count))]


def shown(batch: Batch, number: int) -> LeafProof:
    inclusion = batch.inclusion(number)
    return LeafProof(number, inclusion.leaf_sum, inclusion.path, batch.leaves[number].raw)


def reported(leaves: list[BatchLeaf], *, sort: bool = True, total: int = WORK) -> tuple[World, Batch, int]:
    """A world in which the hub, which has bonded 1 000 ANKR, has just reported these leaves as carol's work."""
    world = World(Parameters.demo(), grants=[("witness", 1_000 * ANKR), ("carol", 10 * ANKR)])
    world.block()
    world.block(world.register("carol", "box"), world.sign("hub", bond(HUB_BOND, Registration("hub", None))))
    world.next_epoch()
    batch = build_batch(leaves) if sort else Batch(tuple(leaves), *_root(leaves))
    epoch = world.epoch - 1
    report = batch.proof_batch(account("hub"), epoch, [perfect("carol", batch.sum)])
    report = replace(report, sum=total, entries=(perfect("carol", total),))
    assert world.block(world.sign("hub", proof_batch(report))).results[0].ok
    return world, batch, epoch


def _root(leaves: list[BatchLeaf]) -> tuple[bytes, int]:
    return merkle_sum.root([merkle_sum.Leaf(leaf.work, leaf.raw) for leaf in leaves])


def send(world: World, name: str, content: tuple[int, list[object]]) -> str:
    return world.block(world.sign(name, content)).results[0].error


def hub_bond(world: World) -> int:
    return Operator.decode(world.state.entries[operator_key(account("hub"))]).bond_atto


def settle(world: World) -> int:
    """What carol earned when the batch was settled."""
    before = world.balance("carol")
    world.next_epoch()
    world.next_epoch()
    return world.balance("carol") - before


def test_a_challenge_that_is_answered_pays_the_hub_and_changes_nothing_else() -> None:
    world, batch, epoch = reported(honest())
    assert send(world, "witness", proof_challenge(epoch, account("hub"), 3)) == ""
    assert world.supply().escrow_atto == BOND
    hub = world.balance("hub")
    answer = proof_response(epoch, account("hub"), shown(batch, 3), signed_record("box", 3, 3).delegation)
    assert send(world, "hub", answer) == ""
    assert world.balance("hub") == hub + BOND - FEE and world.supply().escrow_atto == 0
    assert send(world, "hub", answer) == "tx_late"
    assert settle(world) > 0 and hub_bond(world) == HUB_BOND


def test_a_leaf_that_is_withheld_voids_the_batch_and_the_bond_comes_back() -> None:
    world, _, epoch = reported(honest())
    before = world.balance("witness")
    assert send(world, "witness", proof_challenge(epoch, account("hub"), 0)) == ""
    assert settle(world) == 0
    assert world.balance("witness") == before - FEE and world.supply().escrow_atto == 0
    assert hub_bond(world) == HUB_BOND * 995 // 1_000
    assert not any(entry.startswith((b"batch", b"challenges/")) for entry in world.state.entries)


def test_what_a_challenge_is_refused_for() -> None:
    world, _, epoch = reported(honest())
    hub = account("hub")
    assert send(world, "witness", proof_challenge(epoch + 1, hub, 0)) == "tx_unknown_batch"
    assert send(world, "witness", proof_challenge(epoch, account("x"), 0)) == "tx_unknown_batch"
    assert send(world, "witness", proof_challenge(epoch, hub, 5)) == "malformed"
    assert send(world, "carol", proof_challenge(epoch, hub, 0)) == "tx_insufficient_funds"
    assert send(world, "witness", proof_challenge(epoch, hub, 0)) == ""
    assert send(world, "witness", proof_challenge(epoch, hub, 0)) == "tx_duplicate"
    world.next_epoch()
    world.block(after_s=2)
    assert send(world, "witness", proof_challenge(epoch, hub, 1)) == "tx_late"


def test_an_answer_needs_the_leaf_its_path_a_signature_and_a_delegation() -> None:
    world, batch, epoch = reported(honest())
    hub, good = account("hub"), signed_record("box", 2, 2).delegation
    send(world, "witness", proof_challenge(epoch, hub, 2))
    forged = shown(batch, 2)._replace(record=signed_record("box", 2, 99).record)
    for leaf, delegation, error in (
        (shown(batch, 1), good, "tx_late"),
        (forged, good, "tx_not_proven"),
        (shown(batch, 2)._replace(sum=1), good, "tx_not_proven"),
        (shown(batch, 2)._replace(path=()), good, "tx_not_proven"),
        (shown(batch, 2), signed_record("other", 2, 2).delegation, "delegation_invalid"),
        (shown(batch, 2), signed_record("box", 2, 2, "another boot key").delegation, "tx_not_proven"),
    ):
        assert send(world, "hub", proof_response(epoch, hub, leaf, delegation)) == error
    assert world.supply().escrow_atto == BOND


def _unsigned(device: str, seq: int) -> bytes:
    raw = signed_record(device, seq, seq).record
    return raw[:-1] + bytes([raw[-1] ^ 1])


def frauds() -> list[tuple[str, list[BatchLeaf], int, int | None, bytes | None]]:
    """Kind, leaves, the leaf that shows it, the second one, and the record key."""
    boot_key = key("box boot").public.x
    twice = [leaf_of("box", 1, 5_000), leaf_of("box", 1, 15_000)]
    return [
        (wire.NOT_A_RECORD, [leaf_of("box", 0, WORK, b"nothing at all")], 0, None, None),
        (wire.BAD_SIGNATURE, [leaf_of("box", 0, WORK, _unsigned("box", 0))], 0, None, boot_key),
        (wire.UNREGISTERED, [leaf_of("ghost", 0, WORK)], 0, None, None),
        (wire.OUT_OF_ORDER, twice, 0, 1, None),
        (wire.OUT_OF_ORDER, [leaf_of("box", 2, 5_000), leaf_of("box", 1, 15_000)], 0, 1, None),
    ]


@pytest.mark.parametrize(("kind", "leaves", "number", "second", "extra"), frauds(), ids=lambda value: str(value)[:20])
def test_a_proven_fraud_voids_the_batch_at_once(
    kind: str, leaves: list[BatchLeaf], number: int, second: int | None, extra: bytes | None
) -> None:
    world, batch, epoch = reported(leaves, sort=False)
    other = None if second is None else shown(batch, second)
    content = fraud_proof(epoch, account("hub"), kind, shown(batch, number), other, extra)
    assert send(world, "witness", content) == ""
    assert hub_bond(world) == HUB_BOND * 99 // 100
    assert send(world, "witness", content) == "tx_unknown_batch"
    assert settle(world) == 0


def test_a_tree_that_adds_up_to_another_sum_is_a_fraud() -> None:
    world, batch, epoch = reported(honest(), total=2 * WORK)
    assert send(world, "witness", fraud_proof(epoch, account("hub"), wire.WRONG_SUM, shown(batch, 0))) == ""
    assert settle(world) == 0


def test_a_record_counted_in_two_epochs_is_a_fraud() -> None:
    world, first, epoch = reported(honest(2))
    world.next_epoch()
    second = build_batch([leaf_of("box", 1, WORK)])
    report = second.proof_batch(account("hub"), epoch + 1, [perfect("carol", WORK)])
    assert send(world, "hub", proof_batch(report)) == ""
    content = fraud_proof(
        epoch + 1, account("hub"), wire.COUNTED_BEFORE, shown(second, 0), shown(first, 1), extra=epoch
    )
    assert send(world, "witness", content) == ""
    world.next_epoch()
    assert world.balance("carol") > 10 * ANKR  # the earlier batch stands


def test_an_honest_batch_has_nothing_to_fear() -> None:
    world, batch, epoch = reported(honest())
    hub = account("hub")
    record_key, wrong_key = key("box boot").public.x, sha256(b"x").digest()
    for kind, second, extra in (
        (wire.NOT_A_RECORD, None, None),
        (wire.BAD_SIGNATURE, None, record_key),
        (wire.BAD_SIGNATURE, None, wrong_key),
        (wire.BAD_SIGNATURE, None, None),
        (wire.UNREGISTERED, None, None),
        (wire.OUT_OF_ORDER, 3, None),
        (wire.OUT_OF_ORDER, 1, None),
        (wire.OUT_OF_ORDER, 0, None),
        (wire.COUNTED_BEFORE, 1, epoch),
        (wire.WRONG_SUM, None, None),
    ):
        other = None if second is None else shown(batch, second)
        assert send(world, "witness", fraud_proof(epoch, hub, kind, shown(batch, 1), other, extra)) == "tx_not_proven"
    cut = shown(batch, 1)._replace(path=shown(batch, 1).path[:-1])
    assert send(world, "witness", fraud_proof(epoch, hub, wire.WRONG_SUM, cut)) == "tx_not_proven"
    assert send(world, "witness", fraud_proof(epoch, hub, wire.OUT_OF_ORDER, shown(batch, 1))) == "malformed"
    assert hub_bond(world) == HUB_BOND and settle(world) > 0


def test_a_batch_cannot_be_buried_in_challenges() -> None:
    world, batch, epoch = reported(honest(70))
    world.block(world.sign("hub", (1, [account("witness"), 20_000 * ANKR])))
    asked = [world.sign("witness", proof_challenge(epoch, account("hub"), n), ahead=n) for n in range(66)]
    errors = [result.error for result in world.block(*asked).results]
    assert errors == [""] * 64 + ["tx_limit"] * 2
    answers = [
        world.sign(
            "hub",
            proof_response(epoch, account("hub"), shown(batch, n), signed_record("box", n, n).delegation),
            ahead=n,
        )
        for n in range(64)
    ]
    before = world.balance("hub")
    assert all(result.ok for result in world.block(*answers).results)
    assert world.balance("hub") == before + 64 * (BOND - FEE) and settle(world) > 0
