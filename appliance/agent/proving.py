"""Answers the chain's compute challenges: checks the beacon itself, has the prover compute, commits and opens."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from appliance.agent.clock import Clock
from appliance.agent.events import Emit
from appliance.agent.prover_process import Computed, ProverProcess
from chain.crypto.keys import PrivateKey
from chain.errors import DccnError, Refused, Unavailable
from chain.proofs.commands import Command
from chain.proofs.key_ids import record_key_id
from chain.proofs.pog.challenge import CPU_NAME
from chain.proofs.pog.format import COMMITMENT_TAG, OPENING_TAG, PATH_MAX, Commitment, commitment_included
from chain.proofs.pog.profiles import profile_named
from chain.proofs.pog.rate import operations_per_second
from chain.proofs.records import Answer
from chain.wire import cbor, cose
from chain.wire.fields import Fields

T = TypeVar("T")

POG = "pog"
POG_OPEN = "pog-open"
MAX_WAITING = 8
IDLE_S = 120.0
"""A prover that nobody asked for this long ends: its memory is the owner's."""
BEACON_TIMEOUT_S = 20.0
BEACON_POLL_S = 0.2
WINDOW_PARTS = 2
"""Half of the window is for computing; the rest is for the network and the block."""
LEAST_PARTS = 10
LATEST_PARTS = 4
WINDOW_MAX_MS = 600_000


class Chain(Protocol):
    """What proving needs to know from the chain, all of it verified by this device."""

    def beacon(self, height: int) -> bytes:
        """Raises Unavailable while the height is not there yet."""

    def time_ms(self, height: int) -> int:
        """The header time of a block that is there."""

    def committed_root(self, challenge_height: int) -> tuple[bytes, int]:
        """(root, count) of the hub's commitments to a challenge, from the chain's state."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A commitment that was sent and may be opened."""

    commitment: Commitment
    rate_ops_per_s: int


def compute_budget_ms(spent_ms: int, window_ms: int) -> int:
    """How long to compute when `spent_ms` of a challenge's window are over, counted from its block's header time.

    The commitment shall leave at half of the window, since it has to be in a block before the window ends. Who hears of
    it late computes for a tenth of the window, as long as a quarter of it is left. Refused `pog_late` after that.
    """
    if spent_ms * LATEST_PARTS > window_ms * (LATEST_PARTS - 1):
        raise Refused("pog_late", f"the challenge came {spent_ms} ms into a window of {window_ms} ms")
    return max(window_ms // WINDOW_PARTS - max(spent_ms, 0), window_ms // LEAST_PARTS)


class Proving:
    """Component. Inputs: the hub's commands `pog` and `pog-open`, verified beacons. Outputs: two kinds of messages.

    `publish_commit` and `publish_open` take a COSE_Sign1; `note_answer` lets the next work record mention the root.
    """

    name = "proving"

    def __init__(
        self,
        *,
        device: bytes,
        chain_id: str,
        record_key: Callable[[], PrivateKey],
        chain: Chain,
        clock: Clock,
        publish_commit: Callable[[bytes], object],
        publish_open: Callable[[bytes], object],
        note_answer: Callable[[Answer], None],
        emit: Emit,
        process: ProverProcess | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        self._device = device
        self._chain_id = chain_id
        self._record_key = record_key
        self._chain = chain
        self._clock = clock
        self._publish_commit = publish_commit
        self._publish_open = publish_open
        self._note_answer = note_answer
        self._emit = emit
        self._process = process or ProverProcess(is_stopping=lambda: self._stop.is_set())
        self._idle_s = idle_s
        self._commands: queue.Queue[Command | None] = queue.Queue(MAX_WAITING)
        self._answered: dict[int, Answered] = {}
        self._stop = threading.Event()
        self.rate_ops_per_s: int | None = None
        self.last_height: int | None = None

    def take(self, command: Command) -> None:
        """Handler for both commands: queue it and return; when the queue is full the newest is dropped."""
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            self._emit("command_refused", reason=f"{MAX_WAITING} challenges are waiting already")

    def wake(self) -> None:
        """Let `run` notice that it should stop."""
        with contextlib.suppress(queue.Full):
            self._commands.put_nowait(None)

    def run(self, stop: threading.Event) -> None:
        self._stop = stop
        try:
            self._process.start()  # loading takes a second, which the first challenge cannot spare
            while not stop.is_set():
                try:
                    command = self._commands.get(timeout=self._idle_s)
                except queue.Empty:
                    self._process.stop()
                    continue
                if command is not None and not stop.is_set():
                    self._obey(command)
        finally:
            self._process.stop()

    def _obey(self, command: Command) -> None:
        height = 0
        try:
            height = Fields(command.body, None, 3 if command.kind == POG else 5).integer(0, 1)
            if command.kind == POG:
                self.answer(command.body)
            else:
                self.open(command.body)
        except DccnError as error:
            self._emit("pog_failed", challenge_height=height, code=error.code, reason=error.message)

    def answer(self, body: object) -> Computed:
        """Obey `[challenge_height, profile, window_ms]`: compute for half the window, commit."""
        fields = Fields(body, None, 3)
        height, window_ms = fields.integer(0, 1), fields.integer(2, 1, WINDOW_MAX_MS)
        profile = profile_named(fields.text(1, 16))
        self._process.start()
        beacon = self._beacon(height)
        budget_ms = compute_budget_ms(self._clock.now_ms() - self._chain.time_ms(height), window_ms)
        computed = self._process.compute(
            challenge_height=height,
            profile=profile.name,
            beacon=beacon,
            device=self._device,
            gpu=CPU_NAME,
            budget_ms=budget_ms,
        )
        commitment = Commitment(self._device, CPU_NAME, profile.name, computed.rows, computed.root, height)
        self._publish_commit(self._signed(commitment.encoded(), COMMITMENT_TAG))
        rate = operations_per_second(profile, computed.rows, computed.elapsed_ms)
        self.rate_ops_per_s, self.last_height = rate, height
        self._answered = {**dict(list(self._answered.items())[-1:]), height: Answered(commitment, rate)}
        self._note_answer(Answer(height, POG, computed.root))
        self._emit(
            "pog_committed",
            challenge_height=height,
            profile=profile.name,
            rows=computed.rows,
            elapsed_ms=computed.elapsed_ms,
            gops=round(rate / 1e9, 1),
        )
        return computed

    def open(self, body: object) -> None:
        """Obey `[challenge_height, commit_height, index, count, path]`: our commitment is in the chain, so open it."""
        fields = Fields(body, None, 5)
        height, commit_height = fields.integer(0, 1), fields.integer(1, 1)
        answered = self._answered.get(height)
        if answered is None:
            raise Refused("pog_wrong_beacon", f"this device did not answer the challenge of height {height}")
        path = fields.octets_list(4, 32, PATH_MAX)
        root, count = self._committed_root(height)
        index = fields.integer(2)
        if fields.integer(3) != count or not commitment_included(
            root, answered.commitment.encoded(), index, count, path
        ):
            raise Refused("proof_invalid", f"our commitment to height {height} is not in block {commit_height}")
        proof = self._process.open(height, self._beacon(commit_height + 1))
        message = cbor.encode(["pogopen1", height, cbor.decode(proof, limit=len(proof))])
        self._publish_open(self._signed(message, OPENING_TAG))
        self._emit("pog_opened", challenge_height=height, commit_height=commit_height)

    def _signed(self, payload: bytes, tag: str) -> bytes:
        key = self._record_key()
        return cose.sign(key, record_key_id(key.public.x), payload, tag, self._chain_id)

    def _beacon(self, height: int) -> bytes:
        return self._awaited(lambda: self._chain.beacon(height))

    def _committed_root(self, challenge_height: int) -> tuple[bytes, int]:
        return self._awaited(lambda: self._chain.committed_root(challenge_height))

    def _awaited(self, ask: Callable[[], T]) -> T:
        """Ask again while the chain has not got there yet, for at most BEACON_TIMEOUT_S."""
        deadline_s = self._clock.monotonic_s() + BEACON_TIMEOUT_S
        while True:
            try:
                return ask()
            except Unavailable:
                if self._clock.monotonic_s() >= deadline_s or self._stop.wait(BEACON_POLL_S):
                    raise
