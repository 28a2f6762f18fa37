"""PoG rounds on a real database with a real prover: who is asked, what is committed, what counts."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import pytest

from chain.crypto.keys import PrivateKey
from chain.proofs.commands import Command
from chain.proofs.key_ids import record_key_id
from chain.proofs.pog.cpu import CpuBackend
from chain.proofs.pog.format import COMMITMENT_TAG, Proof, commitment_included, commitments_root
from chain.proofs.pog.profiles import PROFILES
from chain.proofs.pog.prove import Computation, compute
from chain.wire import cose
from chain.wire.bodies import read_pog_commit
from fleet.hub.actions.desk import Desk
from fleet.hub.chain.follower import Block
from fleet.hub.chain.outbox import open_rows
from fleet.hub.chain.rules import ChainRules
from fleet.hub.commander import Commander
from fleet.hub.ingest.messages import Opening
from fleet.hub.proofs.commands import PogCommands
from fleet.hub.proofs.round_service import RoundService
from fleet.protocol.topics import Leaf, topic_id

GENESIS_MS = 1_790_000_000_000
PARAMETERS = {"reward_epoch_s": 3, "pog_period_epochs": 2, "pog_window_s": 3, "record_interval_ms": 1_000,
              "block_interval_ms": 500}  # fmt: skip
RULES = ChainRules("rounds-1", "00" * 32, GENESIS_MS * 1_000_000, PARAMETERS)
KEY = PrivateKey.from_secret("ed25519", b"k" * 32)
CHALLENGE = Block(12, GENESIS_MS + 6_000, GENESIS_MS + 5_500, ())


def beacon(height: int) -> bytes:
    return sha256(b"beacon %d" % height).digest()


class Chain:
    def beacon(self, height: int) -> bytes:
        return beacon(height)

    def header_time_ms(self, height: int) -> int:
        return CHALLENGE.time_ms + (height - CHALLENGE.height) * 500


@dataclass
class Hub:
    desk: Desk
    clock: Any
    connection: sqlite3.Connection
    sent: list[tuple[str, Command]]
    rounds: RoundService

    def restart(self) -> None:
        """What is only in memory is gone."""
        self.rounds = make_rounds(self.desk, self)

    def publish(self, leaf: Leaf, fleet: str, to: str, payload: bytes) -> bool:
        self.sent.append((to, Command.from_list(cose.open_envelope(payload).body)))
        return True

    def commands(self, kind: str) -> list[Command]:
        return [command for _, command in self.sent if command.kind == kind]

    def join(self, name: bytes, *, online: bool = True, registered: bool = True, delegated: bool = True) -> bytes:
        device = sha256(name).digest()
        self.connection.execute(
            "INSERT INTO devices (device, topic_id, fleet, identity_key, enrolled_ms, enrolled_by, online,"
            " registered_height) VALUES (?,?,'home',x'',0,'token',?,?)",
            (device, topic_id(device), online, 1 if registered else None),
        )
        if delegated:
            self.connection.execute(
                "INSERT INTO delegations"
                " (kid, device, record_public, boot, not_before_ms, not_after_ms, received_ms, raw)"
                " VALUES (x'00', ?, x'00', x'00', 0, ?, 0, x'')",
                (device, GENESIS_MS * 2),
            )
        return device

    def answer(self, device: bytes, at_ms: int) -> Computation:
        """What ingest stores of a commitment."""
        made = compute(PROFILES["test"], beacon(12), device, "cpu", 32, backend=CpuBackend(1))
        commitment = made.commitment(12)
        raw = cose.sign(KEY, record_key_id(KEY.public.x), commitment.encoded(), COMMITMENT_TAG, "rounds-1")
        self.connection.execute(
            "INSERT INTO pog_commitments (challenge_height, device, gpu, profile, n, root, received_ms, raw)"
            " VALUES (12,?,'cpu','test',?,?,?,?)",
            (device, made.rows, made.root, at_ms, raw),
        )
        return made

    def include(self, height: int) -> None:
        """A block holds the root; the next one is there too."""
        self.connection.execute("UPDATE outbox SET state = 'included', height = ?, tx_hash = x'01'", (height,))
        self.rounds.note_block(self.connection, Block(height + 1, self.clock(), None, ()))
        self.rounds.step(self.connection)
        self.rounds.step(self.connection)

    def show(self, proof: Proof) -> None:
        self.rounds.take_opening(self.connection, Opening(12, proof, topic_id(proof.device), "topic", self.clock()))
        self.rounds.step(self.connection)

    def results(self) -> list[tuple[int, str | None]]:
        return self.connection.execute("SELECT ok, code FROM pog_results ORDER BY device").fetchall()

    def state(self) -> str | None:
        row = self.connection.execute("SELECT state FROM pog_rounds").fetchone()
        return None if row is None else str(row[0])


def make_rounds(desk: Desk, downlink: Any) -> RoundService:
    commands = PogCommands(Commander(downlink, KEY, "home", "rounds-1", desk.now_ms))
    return RoundService(
        desk, Chain(), commands, RULES, account=KEY.public, hub=b"h" * 20, profile="test", wake_sender=lambda: None
    )


@pytest.fixture
def hub(desk: Desk, clock: Any) -> Iterator[Hub]:
    clock.now_ms = CHALLENGE.time_ms + 300
    with contextlib.closing(desk.store.connect()) as connection:
        hub = Hub(desk, clock, connection, [], None)  # type: ignore[arg-type]
        hub.restart()
        yield hub


def begin(hub: Hub) -> None:
    hub.rounds.note_block(hub.connection, CHALLENGE)
    hub.rounds.step(hub.connection)


def test_only_devices_that_can_answer_are_asked_and_told_how_much_time_is_left(hub: Hub) -> None:
    ready = hub.join(b"ready")
    hub.join(b"offline", online=False)
    hub.join(b"unregistered", registered=False)
    hub.join(b"without a record key", delegated=False)
    begin(hub)
    hub.rounds.step(hub.connection)
    assert [(to, command.body) for to, command in hub.sent] == [(topic_id(ready), [12, "test", 2_700])]


def test_a_device_that_joins_early_in_the_window_is_asked_too_and_a_later_one_is_not(hub: Hub) -> None:
    begin(hub)
    assert hub.state() is None
    early = hub.join(b"early")
    hub.clock.advance(seconds=1)
    hub.rounds.step(hub.connection)
    hub.rounds.step(hub.connection)
    hub.join(b"late")
    hub.clock.advance(seconds=1.2)
    hub.rounds.step(hub.connection)
    assert [to for to, _ in hub.sent] == [topic_id(early)]


def test_nobody_is_asked_twice_even_when_the_round_is_over_within_its_window(hub: Hub) -> None:
    device = hub.join(b"swift")
    begin(hub)
    made = hub.answer(device, CHALLENGE.time_ms + 400)
    hub.rounds.step(hub.connection)
    hub.include(15)
    hub.show(made.open(beacon(16)))
    hub.join(b"too late for this round")
    hub.rounds.step(hub.connection)
    assert hub.state() == "closed"
    assert len(hub.commands("pog")) == 1


def test_an_honest_round_from_challenge_to_rate(hub: Hub, published: list[Any]) -> None:
    devices = sorted(hub.join(name) for name in (b"one", b"two"))
    begin(hub)
    made = {device: hub.answer(device, CHALLENGE.time_ms + 2_000) for device in devices}
    hub.rounds.step(hub.connection)
    (row,) = open_rows(hub.connection)
    leaves = [each.commitment(12).encoded() for each in made.values()]
    commit = read_pog_commit(row.transaction.body)
    assert (commit.challenge_height, commit.root, commit.count) == (12, commitments_root(leaves), 2)
    hub.include(15)
    for command in hub.commands("pog-open"):
        height, commit_height, index, count, path = command.body  # type: ignore[misc]
        leaf = made[command.device].commitment(height).encoded()
        assert commit_height == 15 and commitment_included(commitments_root(leaves), leaf, index, count, path)
        hub.show(made[command.device].open(beacon(16)))
    assert hub.results() == [(1, None), (1, None)]
    assert hub.state() == "closed"
    expected = 2 * 32 * 1_024 * 64 * 1_000 // 2_000
    assert [e.operations_per_s for e in published if type(e).__name__ == "PogChecked"] == [expected, expected]


@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (lambda proof, made: replace(proof, beacon=beacon(13)), "pog_wrong_beacon"),
        (lambda proof, made: made.open(beacon(17)), "pog_wrong_indices"),
        (lambda proof, made: replace(proof, root=b"r" * 32), "pog_wrong_path"),
        (lambda proof, made: replace(proof, opened=proof.opened[::-1]), "pog_wrong_indices"),
    ],
)
def test_a_forged_opening_fails_is_counted_and_is_final(hub: Hub, forge: Any, code: str) -> None:
    device = hub.join(b"mallory")
    begin(hub)
    made = hub.answer(device, CHALLENGE.time_ms + 2_000)
    hub.rounds.step(hub.connection)
    hub.include(15)
    hub.show(forge(made.open(beacon(16)), made))
    hub.show(made.open(beacon(16)))
    assert hub.results() == [(0, code)]
    assert hub.connection.execute("SELECT code, topic_id, count FROM refusal_counts").fetchall() == [
        (code, topic_id(device), 1)
    ]


def test_who_does_not_open_in_time_forfeits(hub: Hub) -> None:
    device = hub.join(b"silent")
    begin(hub)
    hub.answer(device, CHALLENGE.time_ms + 2_000)
    hub.rounds.step(hub.connection)
    hub.include(15)
    hub.clock.advance(seconds=60)
    hub.rounds.step(hub.connection)
    assert hub.results() == [(0, "pog_late")]
    assert hub.state() == "closed"


def test_a_round_whose_root_missed_its_window_blames_nobody(hub: Hub) -> None:
    device = hub.join(b"one")
    begin(hub)
    hub.answer(device, CHALLENGE.time_ms + 2_000)
    hub.rounds.step(hub.connection)
    hub.connection.execute("UPDATE outbox SET state = 'failed', code = 'tx_late'")
    hub.rounds.step(hub.connection)
    assert (hub.state(), hub.results()) == ("failed", [])


def test_a_hub_killed_at_every_step_still_finishes_the_round_once(hub: Hub) -> None:
    device = hub.join(b"one")
    begin(hub)
    hub.restart()
    made = hub.answer(device, CHALLENGE.time_ms + 2_000)
    hub.clock.advance(seconds=2.5)
    hub.rounds.step(hub.connection)
    hub.restart()
    hub.rounds.step(hub.connection)
    assert len(open_rows(hub.connection)) == 1
    hub.include(15)
    hub.restart()
    hub.rounds.step(hub.connection)
    assert len(hub.commands("pog-open")) == 2
    hub.show(made.open(beacon(16)))
    hub.show(made.open(beacon(16)))
    assert (hub.state(), hub.results()) == ("closed", [(1, None)])
