"""Runs the PoG rounds: announces, commits, asks to open, verifies. What to do next, `rounds.next_step` says."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from chain.crypto.keys import PublicKey
from chain.proofs.pog.format import commitment_path, commitments_root
from chain.proofs.pog.profiles import profile_named
from chain.proofs.pog.rate import operations_per_second
from chain.proofs.pog.verify import FleetVerifier, PogVerdict
from chain.wire.bodies import pog_commit
from fleet.hub.actions.desk import Desk
from fleet.hub.actions.events import PogChecked, PogRoundOpened
from fleet.hub.chain.follower import Block
from fleet.hub.chain.outbox import enqueue, row_of
from fleet.hub.chain.rules import ChainRules
from fleet.hub.ingest.messages import Opening, Refusal
from fleet.hub.ingest.rows import count_refusals
from fleet.hub.proofs import round_rows
from fleet.hub.proofs.commands import PogCommands
from fleet.hub.proofs.round_rows import CommittedRow, RoundRow
from fleet.hub.proofs.rounds import Round, State, is_challenge, next_step
from fleet.protocol.topics import topic_id

ANNOUNCED_PARTS: Final = (2, 3)
"""A challenge is announced in the first 2/3 of its window; later no time would be left to compute."""


class BeaconSource(Protocol):
    """Proven facts about past blocks."""

    def beacon(self, height: int) -> bytes: ...

    def header_time_ms(self, height: int) -> int: ...


@dataclass(slots=True)
class _Live:
    """What of a round is only in memory, and can be found or drawn again after a restart."""

    challenge_time_ms: int
    announced: set[bytes] = field(default_factory=set)
    opened_ms: int | None = None
    verifier: FleetVerifier | None = None


class RoundService:
    """Belongs to the proofs' thread. Raises Unavailable and Refused when the chain cannot be asked; then ask again."""

    def __init__(
        self,
        desk: Desk,
        chain: BeaconSource,
        commands: PogCommands,
        rules: ChainRules,
        *,
        account: PublicKey,
        hub: bytes,
        profile: str,
        wake_sender: Callable[[], None],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._desk = desk
        self._chain = chain
        self._commands = commands
        self._rules = rules
        self._account = account
        self._hub = hub
        self._profile = profile_named(profile)
        self._wake_sender = wake_sender
        self._random_bytes = random_bytes
        self._live: dict[int, _Live] = {}
        self._newest_height = 0
        self._challenge: Block | None = None
        self._told: set[bytes] = set()

    def note_block(self, connection: sqlite3.Connection, block: Block) -> None:
        """Take note of the newest block; if it is a challenge, `step` announces it."""
        self._newest_height = block.height
        if block.previous_time_ms is not None and is_challenge(
            block.previous_time_ms, block.time_ms, self._rules.genesis_time_ns // 1_000_000, self._rules.pog_period_ms
        ):
            self._challenge, self._told = block, set()

    def step(self, connection: sqlite3.Connection) -> None:
        """Announce a fresh challenge, and move every open round as far as it can go now."""
        self._announce(connection)
        for row in round_rows.open_rounds(connection):
            live = self._live_of(row)
            if row.state == "opened" and live.opened_ms is None:
                self._ask_to_open(connection, row, live)
            step = next_step(self._round(connection, row, live), self._desk.now_ms(), self._newest_height)
            if step == "commit":
                self._commit(connection, row)
            elif step == "open":
                self._open(connection, row, live)
            elif step == "close":
                self._close(connection, row, live)
            elif step == "fail":
                round_rows.set_state(connection, row.challenge_height, row.state, "failed")
                self._live.pop(row.challenge_height, None)

    def _announce(self, connection: sqlite3.Connection) -> None:
        """Tell every device that can answer, also one that joins early in the window, once."""
        block, now_ms, window_ms = self._challenge, self._desk.now_ms(), self._rules.pog_window_ms
        if block is None:
            return
        if now_ms > block.time_ms + window_ms * ANNOUNCED_PARTS[0] // ANNOUNCED_PARTS[1]:
            self._challenge = None
            return
        devices = [device for device in round_rows.ready_devices(connection, now_ms) if device not in self._told]
        if not devices:
            return
        live = self._live.get(block.height) or self._open_round(connection, block, now_ms)
        for device in devices:
            self._told.add(device)
            live.announced.add(device)
            left_ms = block.time_ms + window_ms - now_ms
            self._commands.challenge(device, block.height, self._profile.name, left_ms)

    def _open_round(self, connection: sqlite3.Connection, block: Block, now_ms: int) -> _Live:
        profile, window_ms = self._profile.name, self._rules.pog_window_ms
        beacon = self._chain.beacon(block.height)
        row = RoundRow(block.height, beacon, profile, now_ms, window_ms, "open", None, None)
        round_rows.insert_round(connection, row)
        live = self._live[block.height] = _Live(block.time_ms)
        self._desk.bus.publish(
            PogRoundOpened(at_ms=now_ms, challenge_height=block.height, profile=profile, window_ms=window_ms)
        )
        return live

    def take_opening(self, connection: sqlite3.Connection, opening: Opening) -> None:
        """Verify opened rows; the first opening of a GPU counts, whatever it says."""
        row = next(
            (r for r in round_rows.open_rounds(connection) if r.challenge_height == opening.challenge_height), None
        )
        if row is None or row.open_beacon is None:
            return
        live = self._live_of(row)
        proof = opening.proof
        for committed in round_rows.commitments(connection, row.challenge_height):
            if (committed.commitment.device, committed.commitment.gpu) == (proof.device, proof.gpu):
                verdict = self._verifier(row, live).verify(
                    proof, commitment=committed.commitment, open_beacon=row.open_beacon
                )
                self._note(connection, live, committed, verdict)
                if verdict.code is not None:
                    refusal = Refusal(verdict.code, opening.topic_id, opening.topic, verdict.reason)
                    count_refusals(connection, [refusal], self._desk.now_ms())

    def unsettled_before(self, connection: sqlite3.Connection, time_ms: int) -> int:
        """How many open rounds have a challenge before this time."""
        return sum(self._live_of(row).challenge_time_ms < time_ms for row in round_rows.open_rounds(connection))

    def _round(self, connection: sqlite3.Connection, row: RoundRow, live: _Live) -> Round:
        answered, committed, settled = round_rows.count_answers(connection, row.challenge_height)
        commit_height, lost = row.commit_height, False
        if row.state == "committed" and commit_height is None:
            sent = row_of(connection, _subject(row.challenge_height))
            lost = sent is None or sent.state == "failed"
            if sent is not None and sent.state == "included" and sent.height is not None:
                commit_height = sent.height
                round_rows.set_commit_height(connection, row.challenge_height, sent.tx_hash, sent.height)
        return Round(
            challenge_height=row.challenge_height,
            challenge_time_ms=live.challenge_time_ms,
            window_ms=row.window_ms,
            state=cast(State, row.state),
            announced=len(live.announced),
            answered=answered,
            commitments=committed,
            settled=settled,
            commit_height=commit_height,
            commit_lost=lost,
            opened_ms=live.opened_ms,
        )

    def _commit(self, connection: sqlite3.Connection, row: RoundRow) -> None:
        """From here on no commitment is taken; the root goes to the outbox in the same transaction."""
        if self._challenge is not None and self._challenge.height == row.challenge_height:
            self._challenge = None
        connection.execute("BEGIN IMMEDIATE")
        try:
            round_rows.set_state(connection, row.challenge_height, "open", "committed")
            leaves = [item.encoded for item in round_rows.commitments(connection, row.challenge_height)]
            root = commitments_root(leaves)
            round_rows.set_root(connection, row.challenge_height, root, len(leaves))
            blocks = row.window_ms // self._rules.parameters["block_interval_ms"] + 2
            enqueue(
                connection,
                kind="pog_commit",
                subject=_subject(row.challenge_height),
                content=pog_commit(self._hub, row.challenge_height, root, len(leaves)),
                sender=self._account,
                valid_until_height=self._newest_height + blocks,
                now_ms=self._desk.now_ms(),
            )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        self._wake_sender()

    def _open(self, connection: sqlite3.Connection, row: RoundRow, live: _Live) -> None:
        commit_height = row.commit_height
        if commit_height is None:
            return  # was just found; the row has it at the next step
        beacon = self._chain.beacon(commit_height + 1)
        round_rows.set_open_beacon(connection, row.challenge_height, beacon)
        round_rows.set_state(connection, row.challenge_height, "committed", "opened")
        self._ask_to_open(connection, row, live)

    def _ask_to_open(self, connection: sqlite3.Connection, row: RoundRow, live: _Live) -> None:
        """Also after a restart: a device that has opened already opens again."""
        live.opened_ms = self._desk.now_ms()
        committed = round_rows.commitments(connection, row.challenge_height)
        leaves = [item.encoded for item in committed]
        for item in committed:
            index, path = commitment_path(leaves, item.encoded)
            assert row.commit_height is not None
            self._commands.open_rows(
                item.commitment.device, row.challenge_height, row.commit_height, index, len(leaves), path, row.window_ms
            )
        self._verifier(row, live)

    def _close(self, connection: sqlite3.Connection, row: RoundRow, live: _Live) -> None:
        late = PogVerdict(False, 0, "pog_late", "the rows were not opened in time")
        for committed in round_rows.commitments(connection, row.challenge_height):
            self._note(connection, live, committed, late)
        round_rows.set_state(connection, row.challenge_height, "opened", "closed")
        self._live.pop(row.challenge_height, None)

    def _note(self, connection: sqlite3.Connection, live: _Live, committed: CommittedRow, verdict: PogVerdict) -> None:
        commitment, now_ms = committed.commitment, self._desk.now_ms()
        elapsed_ms = max(1, committed.received_ms - live.challenge_time_ms)
        rate = (
            operations_per_second(profile_named(commitment.profile), commitment.rows, elapsed_ms)
            if verdict.ok
            else None
        )
        fresh = round_rows.insert_result(
            connection,
            commitment,
            reward_epoch=self._rules.epoch_at(live.challenge_time_ms),
            code=verdict.code,
            rows_checked=verdict.rows_checked,
            elapsed_ms=elapsed_ms,
            operations_per_s=rate,
            checked_ms=now_ms,
        )
        if fresh:
            self._desk.bus.publish(
                PogChecked(
                    at_ms=now_ms,
                    device=topic_id(commitment.device),
                    gpu=commitment.gpu,
                    challenge_height=commitment.challenge_height,
                    ok=verdict.ok,
                    code=verdict.code,
                    operations_per_s=rate,
                )
            )

    def _live_of(self, row: RoundRow) -> _Live:
        live = self._live.get(row.challenge_height)
        if live is None:
            live = self._live[row.challenge_height] = _Live(self._chain.header_time_ms(row.challenge_height))
        return live

    def _verifier(self, row: RoundRow, live: _Live) -> FleetVerifier:
        """The secret is drawn here, when no commitment can be added any more."""
        if live.verifier is None:
            live.verifier = FleetVerifier.drawn(profile_named(row.profile), row.beacon, self._random_bytes)
        return live.verifier


def _subject(challenge_height: int) -> str:
    return f"pog/{challenge_height}"
