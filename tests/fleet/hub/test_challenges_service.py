"""Every challenge that the ledger took is answered exactly once, wherever the hub was killed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from chain.crypto import merkle_sum
from chain.crypto.address import address, device_id
from chain.crypto.keys import PrivateKey
from chain.errors import Unavailable
from chain.proofs.delegation import Delegation, open_delegation, sign_delegation
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import open_record, sign_record
from chain.wire import transactions
from chain.wire.bodies import read_proof_batch
from chain.wire.disputes import ProofResponse, proof_challenge, read_proof_response
from fleet.hub.actions.desk import Desk
from fleet.hub.chain.challenges import note_challenges
from fleet.hub.chain.follower import Block
from fleet.hub.chain.outbox import row_of
from fleet.hub.chain.rules import ChainRules
from fleet.hub.page.sentences import line
from fleet.hub.proofs import challenge_service
from fleet.hub.proofs.batches import BatchService
from fleet.hub.proofs.challenge_service import ChallengeService
from fleet.protocol.topics import topic_id

GENESIS_MS = 1_790_000_000_000
PARAMETERS = {"reward_epoch_s": 3, "pog_period_epochs": 2, "pog_window_s": 3, "record_interval_ms": 1_000,
              "block_interval_ms": 500, "challenge_response_s": 2, "price_pog_teraop_uankr_h": 1_000_000}  # fmt: skip
PARAMETERS |= {f"price_{name}_uankr_h": 0 for name in ("vram_gib", "cpu_core", "ram_gib", "disk_gib", "bandwidth_mbit")}
CHAIN = "challenges-1"
RULES = ChainRules(CHAIN, "00" * 32, GENESIS_MS * 1_000_000, PARAMETERS)
HUB_KEY, IDENTITY, RECORD_KEY, WITNESS = (PrivateKey.from_secret("ed25519", bytes([n]) * 32) for n in (1, 2, 3, 4))
HUB = address(HUB_KEY.public)
DEVICE, BOOT = device_id(IDENTITY.public), b"b" * 16
EPOCH, HEIGHT, ASKED_MS = 1, 20, 7_000
ACCEPTED, REFUSED = 0, 42


class Killed(BaseException):
    """The process ends here."""


class Hub:
    """The hub's rows on a real database, with a chain that the test writes."""

    def __init__(self, desk: Desk, clock: Any, connection: sqlite3.Connection) -> None:
        self.desk, self.clock, self.connection = desk, clock, connection
        self.codes: dict[int, tuple[int, ...]] = {}
        self.restart()

    def restart(self) -> None:
        """A new process on the same database."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self.batches = BatchService(self.desk, RULES, account=HUB_KEY.public, hub=HUB, wake_sender=lambda: None)
        self.challenges = ChallengeService(
            self.desk,
            RULES,
            self._codes,
            self.batches.tree,
            account=HUB_KEY.public,
            hub=HUB,
            wake_sender=lambda: None,
        )

    def _codes(self, height: int) -> tuple[int, ...]:
        if height not in self.codes:
            raise Unavailable("unreachable", f"no results of block {height}")
        return self.codes[height]

    def report(self, records: int) -> None:
        """A device's records become the batch of epoch 1, whose leaves can be asked for."""
        self.connection.execute(
            "INSERT INTO devices (device, topic_id, fleet, identity_key, enrolled_ms, enrolled_by, owner,"
            " registered_height) VALUES (?,?,'home',x'',0,'token',?,1)",
            (DEVICE, topic_id(DEVICE), b"o" * 20),
        )
        lent = Delegation(DEVICE, RECORD_KEY.public.x, BOOT, GENESIS_MS, GENESIS_MS + 100_000)
        self.connection.execute(
            "INSERT INTO delegations (kid, device, record_public, boot, not_before_ms, not_after_ms, received_ms, raw)"
            " VALUES (?,?,?,?,?,?,0,?)",
            (lent.key_id, DEVICE, lent.record_public, BOOT, lent.not_before_ms, lent.not_after_ms,
             sign_delegation(lent, IDENTITY, CHAIN)),
        )  # fmt: skip
        chain = RecordChain(DEVICE, b"c" * 16)
        for number in range(records):
            end_ms = GENESIS_MS + 3_100 + 500 * number
            record = chain.draft(boot=BOOT, from_ms=end_ms - 400, to_ms=end_ms, host={})
            signed = sign_record(record, RECORD_KEY, CHAIN)
            opened = open_record(signed)
            chain.advance(opened.record, opened.hash)
            self.connection.execute(
                "INSERT INTO records (device, chain, seq, received_ms, reward_epoch, payload_hash, raw)"
                " VALUES (?,?,?,0,?,?,?)",
                (DEVICE, record.chain, record.seq, EPOCH, opened.hash, signed),
            )
        self.clock.now_ms = GENESIS_MS + 6_800
        self.batches.step(self.connection, GENESIS_MS + 6_500, 10, 0)

    def block(self, *asked: tuple[int, bytes, int], height: int = HEIGHT) -> Block:
        """A block with these challenges (epoch, hub, leaf), after transactions that nobody can read."""
        txs = [transactions.beacon_tx(b"p" * 80), b"\xff nonsense"]
        for epoch, hub, index in asked:
            txs.append(transactions.sign(WITNESS, CHAIN, proof_challenge(epoch, hub, index), nonce=0, fee=1).encode())
        return Block(height, GENESIS_MS + ASKED_MS, GENESIS_MS + ASKED_MS - 500, tuple(txs))

    def note(self, block: Block) -> int:
        return note_challenges(self.connection, block, HUB, RULES)

    def step(self, at_ms: int = ASKED_MS + 500, newest: int = HEIGHT + 1) -> None:
        self.challenges.step(self.connection, GENESIS_MS + at_ms, newest)

    def answers(self) -> list[ProofResponse]:
        found = self.connection.execute("SELECT raw FROM outbox WHERE kind = 'proof_response' ORDER BY id").fetchall()
        return [read_proof_response(transactions.decode(raw).body) for (raw,) in found]

    def states(self) -> list[str]:
        found = self.connection.execute("SELECT state FROM leaf_challenges ORDER BY height, tx_index")
        return [state for (state,) in found]

    def outbox(self, state: str, *, height: int | None = None, code: str | None = None) -> None:
        """What the sender notes about the newest answer."""
        self.connection.execute(
            "UPDATE outbox SET state = ?, height = ?, code = ?"
            " WHERE id = (SELECT max(id) FROM outbox WHERE kind = 'proof_response')",
            (state, height, code),
        )


@pytest.fixture
def hub(desk: Desk, clock: Any) -> Iterator[Hub]:
    with contextlib.closing(desk.store.connect()) as connection:
        made = Hub(desk, clock, connection)
        made.report(5)
        yield made


def names(published: list[Any]) -> list[str]:
    return [type(event).__name__ for event in published]


def test_a_challenge_is_answered_with_the_record_its_path_and_its_keys_delegation(
    hub: Hub, published: list[Any]
) -> None:
    hub.note(hub.block((EPOCH, HUB, 3)))
    hub.codes[HEIGHT] = (ACCEPTED, REFUSED, ACCEPTED)
    hub.step()
    (answer,) = hub.answers()
    assert (answer.reward_epoch, answer.hub, answer.leaf.number) == (EPOCH, HUB, 3)
    row = row_of(hub.connection, f"batch/{EPOCH}")
    assert row is not None
    batch = read_proof_batch(row.transaction.body)
    leaf = merkle_sum.Leaf(answer.leaf.sum, answer.leaf.record)
    assert merkle_sum.verify(batch.root, batch.sum, leaf, 3, batch.count, answer.leaf.path)
    record = open_record(answer.leaf.record)
    lent = open_delegation(answer.delegation).check(IDENTITY.public, CHAIN)
    assert record.record.seq == 3 and lent.covers(record.record) and record.verify(lent.record_public, CHAIN)
    hub.outbox("included", height=HEIGHT + 2)
    hub.step(ASKED_MS + 1_000)
    hub.step(ASKED_MS + 1_500)
    assert hub.states() == ["shown"] and len(hub.answers()) == 1
    assert names(published) == ["LeafChallenged", "LeafShown"]
    assert "leaf 3 of reward epoch 1 in block 22 and earned the bond (the first)" in line(published[1]).text
    audited = hub.connection.execute("SELECT kind FROM events ORDER BY id").fetchall()
    assert audited == [("leaf-challenged",), ("leaf-shown",)]


def test_it_waits_for_the_header_that_proves_the_ledger_took_it(hub: Hub) -> None:
    hub.note(hub.block((EPOCH, HUB, 3)))
    hub.codes[HEIGHT] = (ACCEPTED, REFUSED, ACCEPTED)
    hub.step(ASKED_MS, newest=HEIGHT)
    assert hub.answers() == []
    hub.step()
    assert len(hub.answers()) == 1


def test_what_the_ledger_refused_costs_the_hub_nothing(hub: Hub, published: list[Any]) -> None:
    hub.note(hub.block((EPOCH, HUB, 3), (EPOCH, HUB, 9), (EPOCH + 7, HUB, 0)))
    hub.codes[HEIGHT] = (ACCEPTED, REFUSED, REFUSED, REFUSED, REFUSED)
    hub.step()
    assert hub.states() == ["dismissed"] * 3 and hub.answers() == [] and published == []


def test_only_challenges_to_this_hub_are_noted_and_no_number_stops_the_chain(hub: Hub) -> None:
    block = hub.block((EPOCH, b"x" * 20, 3), (2**64 - 1, HUB, 0), (EPOCH, HUB, 2**64 - 1), (2**63 - 1, HUB, 2**63 - 1))
    assert hub.note(block) == 1


def test_a_leaf_asked_for_again_after_its_answer_is_shown_again(hub: Hub, published: list[Any]) -> None:
    for height in (HEIGHT, HEIGHT + 3):
        hub.note(hub.block((EPOCH, HUB, 3), height=height))
        hub.codes[height] = (ACCEPTED, REFUSED, ACCEPTED)
        hub.step(newest=height + 1)
        hub.outbox("included", height=height + 2)
        hub.step(newest=height + 2)
    assert len(hub.answers()) == 2 and hub.states() == ["shown"] * 2
    assert [event.shown for event in published if hasattr(event, "shown")] == [1, 2]


def test_an_answer_that_no_block_took_is_sent_again_until_it_is_late(hub: Hub, published: list[Any]) -> None:
    hub.note(hub.block((EPOCH, HUB, 3)))
    hub.codes[HEIGHT] = (ACCEPTED, REFUSED, ACCEPTED)
    for at_ms in range(ASKED_MS + 100, ASKED_MS + 3_000, 100):
        hub.step(at_ms)
        hub.outbox("failed", code="tx_expired")
    assert 2 < len(hub.answers()) <= 8
    assert hub.states() == ["lost"] and names(published) == ["LeafChallenged", "LeafNotShown"]
    assert published[1].code == "tx_expired"


def test_a_leaf_that_the_store_lost_is_told(hub: Hub, published: list[Any]) -> None:
    hub.connection.execute("DELETE FROM delegations")
    hub.note(hub.block((EPOCH, HUB, 3), (EPOCH + 1, HUB, 0)))
    hub.codes[HEIGHT] = (ACCEPTED, REFUSED, ACCEPTED, ACCEPTED)
    hub.step()
    assert hub.states() == ["lost"] * 2 and names(published) == ["LeafNotShown"] * 2


def test_a_hub_killed_before_its_cursor_moved_takes_the_block_again_and_notes_once(hub: Hub) -> None:
    assert hub.note(hub.block((EPOCH, HUB, 3))) == 1
    hub.restart()
    assert hub.note(hub.block((EPOCH, HUB, 3))) == 0
    hub.codes[HEIGHT] = (ACCEPTED, REFUSED, ACCEPTED)
    hub.step()
    hub.restart()
    assert hub.note(hub.block((EPOCH, HUB, 3))) == 0
    hub.step()
    assert len(hub.answers()) == 1


@pytest.mark.parametrize("where", ["enqueue", "set_answering", "audit_row"])
def test_a_hub_killed_while_it_answers_answers_once(
    hub: Hub, published: list[Any], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    hub.note(hub.block((EPOCH, HUB, 3)))
    hub.codes[HEIGHT] = (ACCEPTED, REFUSED, ACCEPTED)
    _killed_after(monkeypatch, where, hub)
    assert published == [] and hub.answers() == [] and hub.states() == ["seen"]
    hub.restart()
    hub.step()
    hub.restart()
    hub.step()
    assert len(hub.answers()) == 1 and names(published) == ["LeafChallenged"]


@pytest.mark.parametrize("where", ["set_state", "audit_row"])
def test_a_hub_killed_while_it_notes_the_end_counts_it_once(
    hub: Hub, published: list[Any], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    hub.note(hub.block((EPOCH, HUB, 3)))
    hub.codes[HEIGHT] = (ACCEPTED, REFUSED, ACCEPTED)
    hub.step()
    hub.outbox("included", height=HEIGHT + 2)
    _killed_after(monkeypatch, where, hub)
    assert hub.states() == ["answering"]
    hub.restart()
    hub.step()
    hub.step()
    assert hub.states() == ["shown"] and names(published) == ["LeafChallenged", "LeafShown"]


def _killed_after(monkeypatch: pytest.MonkeyPatch, function: str, hub: Hub) -> None:
    """A step of the hub ends right after this function of it did its work."""
    real = getattr(challenge_service, function)

    def last(*args: Any, **named: Any) -> None:
        real(*args, **named)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(challenge_service, function, last)
        hub.step()


def test_a_batch_of_many_leaves_answers_all_that_are_asked_for(hub: Hub) -> None:
    hub.note(hub.block(*((EPOCH, HUB, index) for index in range(5))))
    hub.codes[HEIGHT] = (ACCEPTED, REFUSED, *(ACCEPTED,) * 5)
    hub.step()
    assert sorted(answer.leaf.number for answer in hub.answers()) == list(range(5))
    assert len({sha256(answer.leaf.record).digest() for answer in hub.answers()}) == 5
