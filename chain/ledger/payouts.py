"""Payments that a boundary decided, credited without a claim: at most `credits_per_block` accounts in a block."""

from __future__ import annotations

from collections.abc import Sequence

from chain.ledger.block import Execution
from chain.ledger.overlay import Overlay
from chain.ledger.supply import move
from chain.wire.state import ConsumerReward, CountReward, Entry, ProviderReward, Reward, reward_key

PAYOUT_PREFIX = b"payout/"
QUEUE_KEY = b"payouts"


class Payment(Entry, frozen=True):
    """What one address gets for one boundary, and why."""

    address: bytes
    amount_atto: int
    closed_epoch: int
    provider: ProviderReward | None
    producer: CountReward | None
    verifier: CountReward | None
    consumer: ConsumerReward | None


class Payments(Entry, frozen=True):
    """A portion of the queue."""

    payments: tuple[Payment, ...]


class Queue(Entry, frozen=True):
    """Portions `first` to `end - 1` are waiting."""

    first: int
    end: int


def payout_key(number: int) -> bytes:
    return PAYOUT_PREFIX + number.to_bytes(8, "big")


def payouts_pending(overlay: Overlay) -> bool:
    return overlay.entry(QUEUE_KEY, Queue) is not None


def enqueue(run: Execution, payments: Sequence[Payment]) -> None:
    """Put payments behind those that wait already; their sum must be in `payable` by then."""
    if not payments:
        return
    queue = run.overlay.entry(QUEUE_KEY, Queue) or Queue(0, 0)
    portion = run.parameters.credits_per_block
    end = queue.end
    for start in range(0, len(payments), portion):
        run.overlay.set_entry(payout_key(end), Payments(tuple(payments[start : start + portion])))
        end += 1
    run.overlay.set_entry(QUEUE_KEY, Queue(queue.first, end))


def pay(run: Execution) -> None:
    """Credit whole portions from the head of the queue, as many as a block may."""
    queue = run.overlay.entry(QUEUE_KEY, Queue)
    if queue is None:
        return
    credited = paid_atto = 0
    first = queue.first
    while first < queue.end:
        portion = run.overlay.entry(payout_key(first), Payments)
        assert portion is not None, "a hole in the queue of payments"
        if credited and credited + len(portion.payments) > run.parameters.credits_per_block:
            break
        for payment in portion.payments:
            _credit(run, payment)
            paid_atto += payment.amount_atto
        credited += len(portion.payments)
        run.overlay.set_entry(payout_key(first), None)
        first += 1
    run.overlay.set_entry(QUEUE_KEY, None if first == queue.end else Queue(first, queue.end))
    move(run.overlay, payable_atto=-paid_atto, accounts_atto=paid_atto)


def _credit(run: Execution, payment: Payment) -> None:
    key = reward_key(payment.address)
    before = run.overlay.entry(key, Reward)
    total = payment.amount_atto + (0 if before is None else before.total_atto)
    run.overlay.purse(payment.address).balance_atto += payment.amount_atto
    run.overlay.set_entry(
        key,
        Reward(
            closed_epoch=payment.closed_epoch,
            height=run.height,
            time_ns=run.time_ns,
            amount_atto=payment.amount_atto,
            total_atto=total,
            provider=payment.provider,
            producer=payment.producer,
            verifier=payment.verifier,
            consumer=payment.consumer,
        ),
    )
