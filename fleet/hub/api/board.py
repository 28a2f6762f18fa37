"""What the page and the overview need at once: a read model that follows the event bus.

Gauges live only here. Totals are read from the database once, at the start, and counted on from there.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from sqlalchemy import and_, func, select

from chain.crypto import address
from chain.wire import cose
from chain.wire.amounts import parse_ankr
from fleet.hub.actions.bus import EventBus
from fleet.hub.actions.events import (
    ChainAdvanced,
    HubEvent,
    PogChecked,
    RecordsAccepted,
    RewardsPaid,
    TelemetryReceived,
)
from fleet.hub.store import Store
from fleet.hub.store.tables import attestations, pog_results, record_chains, records, rewards

# The last record of each chain of a device that attests; the newest chain comes last.
_NEWEST_OF_ATTESTED: Final = (
    select(records.c.device, records.c.raw)
    .join(attestations, attestations.c.device == records.c.device)
    .join(
        record_chains,
        and_(
            record_chains.c.device == records.c.device,
            record_chains.c.chain == records.c.chain,
            records.c.seq == record_chains.c.next_seq - 1,
        ),
    )
    .order_by(record_chains.c.started_ms)
)
HISTORY: Final = 60
"""Points of a sparkline."""
EVENTS_KEPT: Final = 80
POG_RECENT: Final = 3
"""A device that passed one of the fleet's last three challenges counts as proven (evidence level 1)."""
MERGE_WITHIN: Final = 8


@dataclass(slots=True)
class Gauges:
    """The newest telemetry of one device and a short history of its processor load (percent, None unknown)."""

    system: dict[str, Any] | None = None
    gpus: dict[int, dict[str, Any]] = field(default_factory=dict)
    cpu: deque[float | None] = field(default_factory=lambda: deque(maxlen=HISTORY))


@dataclass(frozen=True, slots=True)
class PogPoint:
    """One answered challenge; `operations_per_s` is None when it failed."""

    challenge_height: int
    ok: bool
    code: str | None
    operations_per_s: int | None


@dataclass(slots=True)
class RewardLine:
    """What one owner was paid, in 10^-18 ANKR."""

    total: int = 0
    last: int = 0
    last_epoch: int | None = None
    history: deque[int] = field(default_factory=lambda: deque(maxlen=HISTORY))


class Board:
    """Listens to the bus in the publishers' threads; `lock` guards everything that is read from it."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.lock = Lock()
        self.gauges: dict[str, Gauges] = {}
        self.accepted: Counter[str] = Counter()
        self.record_keys: dict[str, str] = {}
        self.arrivals: deque[tuple[int, int]] = deque()
        self.pog: dict[tuple[str, str], deque[PogPoint]] = {}
        self.pog_passed = 0
        self.pog_failed = 0
        self.rewards: dict[str, RewardLine] = {}
        self.events: deque[HubEvent] = deque(maxlen=EVENTS_KEPT)
        self.started_ms = now_ms()
        self.version = 0
        self._now_ms = now_ms
        self._wakers: list[Callable[[], object]] = []

    def follow(self, store: Store, bus: EventBus) -> None:
        """Read the totals, then listen. Call it before anything publishes."""
        with store.read() as connection:
            totals = select(records.c.device, func.count()).group_by(records.c.device)
            for device, count in connection.execute(totals):
                self.accepted[device.hex()[:32]] = count
            for device, raw in connection.execute(_NEWEST_OF_ATTESTED):
                self.record_keys[device.hex()[:32]] = cose.open_envelope(raw).kid.hex()
            for row in connection.execute(select(pog_results).order_by(pog_results.c.challenge_height)):
                point = PogPoint(row.challenge_height, row.ok, row.code, row.operations_per_s)
                self._note_pog(row.device.hex()[:32], row.gpu, point)
            for row in connection.execute(select(rewards).order_by(rewards.c.reward_epoch)):
                self._note_reward(address.encode(row.owner), row.reward_epoch, int(row.amount))
        bus.listen(self.note)

    def on_change(self, waker: Callable[[], object]) -> Callable[[], None]:
        """Call `waker` (any thread) after each change; the returned function ends that."""
        self._wakers = [*self._wakers, waker]

        def cancel() -> None:
            self._wakers = [other for other in self._wakers if other is not waker]

        return cancel

    def note(self, event: HubEvent) -> None:
        """Take in one event."""
        with self.lock:
            self._note(event)
            self.version += 1
        for waker in self._wakers:
            waker()

    def rate(self, window_s: int = 60) -> list[int]:
        """Records accepted in each of the last `window_s` seconds, oldest first."""
        now_s = self._now_ms() // 1000
        counts = [0] * window_s
        for second, count in self.arrivals:
            if 0 < now_s - second <= window_s:
                counts[window_s - (now_s - second)] += count
        return counts

    def recent_challenges(self) -> set[int]:
        """The heights of the last challenges that anybody answered."""
        heights = {point.challenge_height for points in self.pog.values() for point in list(points)[-POG_RECENT:]}
        return set(sorted(heights)[-POG_RECENT:])

    def _note(self, event: HubEvent) -> None:
        match event:
            case TelemetryReceived():
                self._note_gauges(event)
                return
            case ChainAdvanced():
                return
            case RecordsAccepted():
                self._note_records(event)
                return
            case PogChecked():
                point = PogPoint(event.challenge_height, event.ok, event.code, event.operations_per_s)
                self._note_pog(event.device, event.gpu, point)
            case RewardsPaid():
                for owner, amount in event.rewards.items():
                    self._note_reward(owner, event.reward_epoch, parse_ankr(amount))
        self.events.append(event)

    def _note_gauges(self, event: TelemetryReceived) -> None:
        gauges = self.gauges.setdefault(event.device, Gauges())
        if event.gpu is None:
            gauges.system = event.sample
            gauges.cpu.append(event.sample.get("cpu_pct"))
        else:
            gauges.gpus[event.gpu] = event.sample

    def _note_records(self, event: RecordsAccepted) -> None:
        self.accepted[event.device] += event.count
        if event.record_key is not None:
            self.record_keys[event.device] = event.record_key
        now_s = self._now_ms() // 1000
        if self.arrivals and self.arrivals[-1][0] == now_s:
            self.arrivals[-1] = (now_s, self.arrivals[-1][1] + event.count)
        else:
            self.arrivals.append((now_s, event.count))
        while self.arrivals and self.arrivals[0][0] < now_s - HISTORY:
            self.arrivals.popleft()
        self._note_line(event)

    def _note_line(self, event: RecordsAccepted) -> None:
        """A device's records come every second: they share a line while that is among the newest."""
        for index in range(len(self.events) - 1, max(-1, len(self.events) - 1 - MERGE_WITHIN), -1):
            line = self.events[index]
            if isinstance(line, RecordsAccepted) and line.device == event.device:
                self.events[index] = RecordsAccepted(
                    at_ms=event.at_ms,
                    device=event.device,
                    count=line.count + event.count,
                    upto_seq=max(line.upto_seq, event.upto_seq),
                    record_key=event.record_key,
                )
                return
        self.events.append(event)

    def _note_pog(self, device: str, gpu: str, point: PogPoint) -> None:
        self.pog.setdefault((device, gpu), deque(maxlen=HISTORY)).append(point)
        if point.ok:
            self.pog_passed += 1
        else:
            self.pog_failed += 1

    def _note_reward(self, owner: str, reward_epoch: int, amount: int) -> None:
        line = self.rewards.setdefault(owner, RewardLine())
        line.total += amount
        line.last, line.last_epoch = amount, reward_epoch
        line.history.append(amount)
