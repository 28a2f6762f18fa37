"""The hub's transactions reach the chain once, whatever is lost, restarted or expired on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.keys import PrivateKey
from chain.wire.bodies import pog_commit
from chain.wire.transactions import Transaction
from fleet.hub.chain.outbox import MAX_IN_FLIGHT, OutboxRow, plan

KEY = PrivateKey.from_secret("ed25519", b"h" * 32)


def row(number: int, state: str = "pending", nonce: int | None = None, until: int | None = None) -> OutboxRow:
    type_, body = pog_commit(b"h" * 20, number, b"r" * 32, 1)
    raw = Transaction(type_, KEY.public, nonce or 0, 0, until, body).encode()
    return OutboxRow(number, "pog_commit", f"pog/{number}", nonce, raw, None, state, 0)  # type: ignore[arg-type]


def test_pending_rows_get_the_nonces_after_those_that_wait() -> None:
    made = plan([row(1, "sent", 7), row(2, "sent", 8), row(3), row(4)], 7, 100)
    assert [r.id for r in made.again] == [1, 2]
    assert [(r.id, nonce) for r, nonce in made.sign] == [(3, 9), (4, 10)]


def test_a_row_whose_nonce_was_used_by_something_else_is_signed_anew() -> None:
    made = plan([row(1, "sent", 6)], 7, 100)
    assert [r.id for r in made.lost] == [1]
    assert [(r.id, nonce) for r, nonce in made.sign] == [(1, 7)]


def test_rows_behind_an_expired_one_do_not_wait_for_its_nonce() -> None:
    made = plan([row(1, "sent", 7, until=100), row(2, "sent", 8)], 7, 100)
    assert [r.id for r in made.expired] == [1]
    assert [(r.id, nonce) for r, nonce in made.sign] == [(2, 7)]


def test_a_pending_row_that_can_no_longer_be_included_is_given_up() -> None:
    made = plan([row(1, until=99), row(2, until=101)], 0, 100)
    assert [r.id for r in made.expired] == [1]
    assert [r.id for r, _ in made.sign] == [2]


@dataclass
class Chain:
    """An account whose transactions wait in a mempool that may be lost."""

    nonce: int = 0
    mempool: dict[int, OutboxRow] = field(default_factory=dict)
    included: list[str] = field(default_factory=list)

    def produce(self) -> set[int]:
        done = set()
        while self.nonce in self.mempool:
            taken = self.mempool.pop(self.nonce)
            self.included.append(taken.subject)
            done.add(taken.id)
            self.nonce += 1
        return done


@given(st.lists(st.sampled_from(["enqueue", "send", "crash", "block", "forget"]), max_size=60))
def test_every_transaction_is_included_exactly_once_in_the_end(steps: list[str]) -> None:
    chain, rows, count = Chain(), dict[int, OutboxRow](), 0
    for step in [*steps, *["send", "block"] * (len(steps) + 1)]:
        if step == "enqueue":
            count += 1
            rows[count] = row(count)
        elif step in ("send", "crash"):
            made = plan(list(rows.values()), chain.nonce, 1)
            assert len(made.again) + len(made.sign) <= MAX_IN_FLIGHT
            for r, nonce in made.sign:
                rows[r.id] = row(r.id, "sent", nonce)
            if step == "send":
                for r in (*made.again, *(rows[r.id] for r, _ in made.sign)):
                    chain.mempool[r.nonce or 0] = r
        elif step == "block":
            for done in chain.produce():
                del rows[done]
        else:
            chain.mempool.clear()
    assert sorted(chain.included) == sorted(f"pog/{number}" for number in range(1, count + 1))
