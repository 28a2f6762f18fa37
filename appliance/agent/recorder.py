"""Writes one work record per interval: what this machine did, chained, signed, on the disk before anybody sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from appliance.agent.clock import Clock
from appliance.agent.events import Emit
from appliance.agent.gpus import GpuSource
from appliance.agent.identity import Identity
from appliance.agent.spool import Head, Signed, Spool
from appliance.agent.telemetry import host_counters
from chain.crypto.keys import PrivateKey
from chain.errors import Faulty
from chain.proofs.counters import Counters
from chain.proofs.delegation import Delegation, sign_delegation
from chain.proofs.key_ids import record_key_id
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import ANSWERS_MAX, INTERVAL_MAX_MS, Answer, Gpu, Load, sign_record

DELEGATED_MS = 30 * 24 * 3_600_000
"""How long the identity key lets one record key speak; a machine that runs longer gets another."""
ROTATE_BEFORE_MS = 24 * 3_600_000
BOOT_ID_PATH = Path("/proc/sys/kernel/random/boot_id")


def read_boot_id(path: Path = BOOT_ID_PATH) -> bytes:
    """The kernel's random id of this boot, 16 bytes."""
    try:
        return bytes.fromhex(path.read_text().strip().replace("-", ""))
    except (OSError, ValueError) as error:
        raise Faulty("home_invalid", f"the boot id in {path} cannot be read: {error}") from error


class RecordKey:
    """This process's Ed25519 record key: made in memory, certified by the identity key, replaced before that ends.

    `prove` stores its delegation in the spool before it signs anything.
    """

    def __init__(
        self,
        identity: Identity,
        boot: bytes,
        chain_id: str,
        spool: Spool,
        clock: Clock,
        pcr_digest: bytes | None = None,
    ) -> None:
        self._identity = identity
        self._pcr_digest = pcr_digest
        self._boot = boot
        self._chain_id = chain_id
        self._spool = spool
        self._clock = clock
        self._lock = threading.Lock()
        self._key: PrivateKey | None = None
        self._told: Callable[[], None] = lambda: None
        self._from_ms = 0
        self._until_ms = 0

    def at(self, from_ms: int, to_ms: int) -> PrivateKey:
        """The key that may sign for this time; a new one, delegation stored, when the old one's time is over."""
        with self._lock:
            if self._key is None or from_ms < self._from_ms or to_ms > self._until_ms - ROTATE_BEFORE_MS:
                self._key = self._certified(from_ms)
            return self._key

    def on_new(self, told: Callable[[], None]) -> None:
        """Call `told` after each new key."""
        self._told = told

    def now(self) -> PrivateKey:
        """For what is signed outside records, such as commitments."""
        now = self._clock.now_ms()
        return self.at(now, now)

    def _certified(self, from_ms: int) -> PrivateKey:
        key = PrivateKey.generate("ed25519")
        delegation = Delegation(
            self._identity.device, key.public.x, self._boot, from_ms, from_ms + DELEGATED_MS, self._pcr_digest
        )
        envelope = sign_delegation(delegation, self._identity.key, self._chain_id)
        self._spool.store_delegation(delegation.key_id, self._boot, envelope, from_ms)
        self._from_ms, self._until_ms = delegation.not_before_ms, delegation.not_after_ms
        self._told()
        return key


class Recorder:
    """Component: one record into the spool every interval.

    Inputs: clock, counters of the host and of leased pods, answers noted by the prover. Outputs: the spool; `appended`
    is called after each record.
    """

    name = "recorder"

    def __init__(
        self,
        *,
        identity: Identity,
        boot: bytes,
        chain_id: str,
        spool: Spool,
        record_key: RecordKey,
        clock: Clock,
        gpus: GpuSource,
        interval_ms: int,
        emit: Emit,
        appended: Callable[[], None],
        host: Callable[[Clock], Counters] = host_counters,
        loads: Callable[[], tuple[Load, ...]] = tuple,
    ) -> None:
        self._identity = identity
        self._boot = boot
        self._chain_id = chain_id
        self._spool = spool
        self._record_key = record_key
        self._clock = clock
        self._gpus = gpus
        self._interval_ms = interval_ms
        self._emit = emit
        self._appended = appended
        self._host = host
        self._loads = loads
        self._answers: list[Answer] = []
        self._answers_lock = threading.Lock()
        self._last_ms: int | None = None
        self._is_full = False

    @property
    def is_full(self) -> bool:
        """No record fits: the spool's bound or the disk is reached."""
        return self._is_full

    def note_answer(self, answer: Answer) -> None:
        """A challenge was answered: the next record says so. Only the newest are kept."""
        with self._answers_lock:
            self._answers = [*self._answers, answer][-ANSWERS_MAX:]

    def run(self, stop: threading.Event) -> None:
        self._last_ms = self._clock.now_ms()
        due_s = self._clock.monotonic_s()
        while True:
            due_s = max(due_s + self._interval_ms / 1000, self._clock.monotonic_s())  # no burst after a suspend
            if stop.wait(max(0.0, due_s - self._clock.monotonic_s())):
                return
            self.record()

    def record(self) -> Head | None:
        """Write one record for the time since the last; None when the spool is full. Counters are cumulative, so the
        work of an interval without a record shows in the next one."""
        to_ms = self._clock.now_ms()
        from_ms = self._interval_start(to_ms)
        with self._answers_lock:
            answers = tuple(self._answers)
        loads = self._loads()
        try:
            key = self._record_key.at(from_ms, to_ms)
            head = self._spool.append(lambda head: self._signed(head, key, from_ms, to_ms, loads, answers))
        except Faulty as error:
            self._note_full(error)
            return None
        self._last_ms = to_ms
        with self._answers_lock:
            self._answers = [answer for answer in self._answers if answer not in answers]
        if self._is_full:
            self._is_full = False
            self._emit("spool_resumed")
        self._appended()
        return head

    def _interval_start(self, to_ms: int) -> int:
        last_ms = self._last_ms if self._last_ms is not None else to_ms
        if last_ms > to_ms:  # the hub corrected a clock that ran ahead
            return max(0, to_ms - self._interval_ms)
        return max(last_ms, to_ms - INTERVAL_MAX_MS)

    def _signed(
        self,
        head: Head,
        key: PrivateKey,
        from_ms: int,
        to_ms: int,
        loads: tuple[Load, ...],
        answers: tuple[Answer, ...],
    ) -> Signed:
        chain = RecordChain(self._identity.device, head.chain, head.next_seq, head.head_hash)
        record = chain.draft(
            boot=self._boot,
            from_ms=from_ms,
            to_ms=to_ms,
            host=self._host(self._clock),
            gpus=tuple(Gpu(uuid, counters) for uuid, counters in self._gpus.counters()),
            loads=loads,
            answers=answers,
        )
        envelope = sign_record(record, key, self._chain_id)
        return Signed(envelope, sha256(record.payload()).digest(), record_key_id(key.public.x))

    def _note_full(self, error: Faulty) -> None:
        if error.code != "disk_full":
            raise error
        if not self._is_full:
            self._is_full = True
            self._emit("spool_full", reason=error.message)
