"""Defects 8, 15, 16, 19 and 21: who may meter, what is lost on the way to a bill, and where the money comes from."""

from __future__ import annotations

from dataclasses import replace

from chain.ledger.parameters import SUPPLY_ATTO
from chain.ledger.supply import total_supply
from chain.proofs import counters
from chain.wire.bodies import ProofBatch
from chain.wire.deals import DealOpen, deal_id, deal_open, deal_settle, metering_batch
from chain.wire.fields import UINT64_MAX
from chain.wire.transactions import ANKR, proof_batch, transfer
from tests.chain.ledger.world import FEE, World, account, perfect

USE_ATTO = 7 * 10**12 + 1
"""A few millionths of an ANKR, of which 5 % are no whole number."""


def open_deal(world: World) -> bytes:
    """A deal of alice, whose platform is the hub."""
    deal = deal_id(account("alice"), world.account("alice").nonce)
    terms = DealOpen(account("provider"), account("maker"), account("hub"), 400 * ANKR, 0, bytes(32))
    assert world.block(world.sign("alice", deal_open(terms))).results[0].ok
    return deal


def meter(world: World, deal: bytes, used_atto: int) -> str:
    return world.block(world.sign("hub", metering_batch(0, bytes(32), {deal: used_atto}))).results[0].error


def test_8_metering_needs_a_listed_hub_not_just_any_certificate(world: World) -> None:
    """There any certificate that came with the message was believed, and the last writer won."""
    world.block(world.register("carol", "box"))
    world.next_epoch()
    own = ProofBatch(account("mallory"), "work", 0, bytes(32), 1, 1, 20_000, None, (perfect("carol"),))
    in_the_hubs_name = replace(own, hub=account("hub"))
    for batch in (own, in_the_hubs_name):
        assert world.block(world.sign("mallory", proof_batch(batch))).results[0].error == "tx_unauthorised"
    first = world.block(world.batch(0, perfect("carol", 10))).results[0]
    assert first.ok
    assert world.block(world.batch(0, perfect("carol", 10**6))).results[0].error == "tx_duplicate"


def test_8_use_of_a_deal_is_metered_by_its_platform_alone_and_never_falls(world: World) -> None:
    deal = open_deal(world)
    forged = world.sign("mallory", metering_batch(0, bytes(32), {deal: 400 * ANKR}))
    assert world.block(forged).results[0].error == "tx_unauthorised"
    assert meter(world, deal, 3 * ANKR) == ""
    assert meter(world, deal, 2 * ANKR) != ""


def test_15_no_record_is_truncated_to_nothing(world: World) -> None:
    """There 59 minutes of one core cost 0; here one ten-thousandth of the others' work is still paid."""
    world.block(world.register("carol", "box"), world.register("dave", "box-2"))
    world.next_epoch()
    assert world.block(world.batch(0, perfect("carol", 10), perfect("dave", 100_000))).results[0].ok
    world.next_epoch()
    world.next_epoch()
    assert 0 < world.balance("carol") < world.balance("dave") // 5_000


def test_15_a_bill_in_many_small_pieces_is_the_bill_in_one(world: World) -> None:
    """There each piece was rounded down to a cent, and a monthly mean was added on top of the sum."""
    pieces, whole = open_deal(world), open_deal(world)
    for count in range(1, 11):
        assert meter(world, pieces, count * USE_ATTO) == ""
        world.block(world.sign("alice", deal_settle(pieces)))
    in_pieces = world.balance("provider")
    assert meter(world, whole, 10 * USE_ATTO) == ""
    world.block(world.sign("alice", deal_settle(whole)))
    at_once = world.balance("provider") - in_pieces
    assert 9 * USE_ATTO < at_once < 10 * USE_ATTO and abs(at_once - in_pieces) <= 10


def test_16_counters_do_not_wrap(world: World) -> None:
    """There an unsigned 32-bit counter wrapped after 3.1 days on 16 cores; here a number out of range is refused."""
    world.block(world.register("carol", "box"))
    world.next_epoch()
    huge = perfect("carol")._replace(heartbeats_valid=2**32, heartbeats_expected=2**32)
    assert world.block(world.batch(0, huge)).results[0].error == "tx_overflow"
    largest = perfect("carol")._replace(heartbeats_valid=2**32 - 1, heartbeats_expected=2**32 - 1, work=2**80 - 1)
    assert world.block(world.batch(0, largest)).results[0].ok
    world.next_epoch()
    world.next_epoch()
    assert world.balance("carol") > 0


def test_16_a_record_counts_a_century_of_256_cores_in_milliseconds() -> None:
    century_s = 100 * 366 * 86_400
    assert 256 * century_s * 10**3 < UINT64_MAX
    assert counters.check_readable({"cpu_busy_ms": 256 * century_s * 10**3})


def test_19_the_fee_is_not_taken_out_of_the_amount_and_small_amounts_pass(world: World) -> None:
    """There 5 ANKR were taken out of the amount, and nobody could send 5 or less."""
    assert world.block(world.sign("alice", transfer(account("bob"), ANKR))).results[0].ok
    assert world.balance("bob") == ANKR
    assert world.balance("alice") == 1_000 * ANKR - ANKR - FEE


def test_21_the_supply_is_ten_billion_and_stays(world: World) -> None:
    """There the history began with 10^24 and the chain with 10^28."""
    assert SUPPLY_ATTO == 10**28
    for _ in range(3):
        world.next_epoch(world.sign("alice", transfer(account("bob"), 1)))
    assert total_supply(world.state) == 10**28
