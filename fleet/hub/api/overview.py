"""The whole state of the fleet in one document: what the page draws, and what `GET /api/overview` answers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, func, select

from chain.crypto import address
from chain.errors import REGISTRY
from chain.wire.amounts import format_ankr
from fleet.hub.actions.events import HubEvent
from fleet.hub.api.board import Board, Gauges, PogPoint
from fleet.hub.ports import ChainView
from fleet.hub.store import Store
from fleet.hub.store.tables import (
    acceptances,
    attestations,
    contradictions,
    decommissions,
    devices,
    refusal_counts,
)
from fleet.protocol.decommission import read_wipe
from fleet.protocol.messages import Hardware, Problem, Reported, Software

PROBLEMS_AT_MOST = 8
MEDIAN_OF = 8
"""The rate is the median of the last passes."""
QUOTED = 3
"""The evidence level of a machine whose TPM quotes a boot of a known image."""


class Pog(msgspec.Struct, frozen=True, kw_only=True):
    """One processor's answers to the challenges. Rates in operations per second; None is a failed answer."""

    gpu: str
    passed: int
    failed: int
    rate: int | None
    last_code: str | None
    history: list[int | None]


class GpuLine(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU: what it says of itself, and its gauges."""

    index: int
    uuid: str
    name: str | None
    memory_bytes: int | None
    gauges: dict[str, Any] | None
    quarantined: bool = False


class Attestation(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine's TPM says of its boot. `reason` is why it is not believed; None: it is.

    `manufacturer` None is an unproven one; `image` and `secure_boot` are of the last quote that was believed.
    """

    believed: bool
    at_ms: int
    reason: str | None
    image: str | None
    secure_boot: bool | None
    manufacturer: str | None


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of the machine's last hardware tests, as it signed them; the numbers are tests."""

    profile: str
    level: str
    ended_ms: int
    is_passed: bool
    passed: int
    failed: int
    skipped: int


class Decommission(msgspec.Struct, frozen=True, kw_only=True):
    """How far a machine's end has come. `before_ms` and `after_ms` are when its signed statements came.

    `state`: asked, stated (it signed that it wipes now), confirmed (its TPM signed again after the wipe).
    `revoked_height` is the block at which the machine saw itself off the chain; null when it did not.
    """

    state: Literal["asked", "stated", "confirmed"]
    asked_ms: int
    before_ms: int | None
    after_ms: int | None
    method: str | None
    revoked_height: int | None


class DeviceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine. `evidence_level` is what the hub saw: 3 while a quote of a known image counts, else 1 when it
    passed one of the fleet's last challenges.

    `problems` are those that its own doctor sees, the gravest first, without their log lines; `software` is what an
    appliance runs and what its updater is at.
    """

    device: str
    online: bool | None
    offline_reason: str | None
    enrolled_ms: int
    last_seen_ms: int | None
    evidence_level: int
    attestation: Attestation | None
    decommission: Decommission | None
    contradictions: int
    owner: str | None
    registered_height: int | None
    hardware: Hardware | None
    gpus: list[GpuLine]
    problems: list[Problem]
    software: Software | None
    system: dict[str, Any] | None
    cpu_history: list[float | None]
    records_accepted: int
    records_refused: int
    pog: list[Pog]
    acceptance: Acceptance | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """How often something was turned down, and why."""

    code: str
    count: int
    meaning: str
    remedy: str


class OwnerLine(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner earned, in ANKR."""

    owner: str
    total: str
    last: str
    last_epoch: int | None
    devices: int
    history: list[str]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Everything."""

    fleet: str
    at_ms: int
    started_ms: int
    chain: ChainView
    devices: list[DeviceLine]
    records_accepted: int
    records_refused: int
    records_per_second: list[int]
    pog_passed: int
    pog_failed: int
    refused: list[Refused]
    owners: list[OwnerLine]
    rewards_total: str
    events: list[HubEvent]


def overview(store: Store, board: Board, chain: ChainView, fleet: str, now_ms: int) -> Overview:
    """Read the database and the board."""
    table = refusal_counts.c
    with store.read() as connection:
        rows = connection.execute(select(devices).order_by(devices.c.enrolled_ms)).all()
        counts = connection.execute(select(table.code, table.topic_id, table["count"])).all()
        twisted = _contradictions(connection)
        accepted = _acceptances(connection)
        ended = {row.device: _decommission(row) for row in connection.execute(_ENDED).all()}
        attested = {
            row.device: _attestation(row, board, now_ms) for row in connection.execute(select(attestations)).all()
        }
    refused_by_device: dict[str, int] = {}
    refused_by_code: dict[str, int] = {}
    for row in counts:
        code, topic_id, count = row
        refused_by_device[topic_id] = refused_by_device.get(topic_id, 0) + count
        refused_by_code[code] = refused_by_code.get(code, 0) + count
    with board.lock:
        recent = board.recent_challenges()
        answers: dict[str, dict[str, list[PogPoint]]] = {}
        for (device, gpu), points in board.pog.items():
            answers.setdefault(device, {})[gpu] = list(points)
        lines = [
            _device(
                row,
                board,
                answers.get(row.topic_id, {}),
                recent,
                refused_by_device,
                twisted,
                attested.get(row.device),
                ended.get(row.device),
            )
            for row in rows
        ]
        lines = [
            msgspec.structs.replace(line, acceptance=accepted.get(row.device))
            for line, row in zip(lines, rows, strict=True)
        ]
        return Overview(
            fleet=fleet,
            at_ms=now_ms,
            started_ms=board.started_ms,
            chain=chain,
            devices=lines,
            records_accepted=board.accepted.total(),
            records_refused=sum(refused_by_code.values()),
            records_per_second=board.rate(),
            pog_passed=board.pog_passed,
            pog_failed=board.pog_failed,
            refused=_refused(refused_by_code),
            owners=_owners(board, lines),
            rewards_total=format_ankr(sum(line.total for line in board.rewards.values())),
            events=list(reversed(board.events)),
        )


def _device(
    row: Any,
    board: Board,
    answers: dict[str, list[PogPoint]],
    recent: set[int],
    refused: dict[str, int],
    twisted: dict[bytes, int],
    attestation: Attestation | None,
    decommission: Decommission | None,
) -> DeviceLine:
    reported = msgspec.json.decode(row.reported, type=Reported) if row.reported else None
    gauges = board.gauges.get(row.topic_id, Gauges())
    proven = any(point.ok and point.challenge_height in recent for points in answers.values() for point in points)
    return DeviceLine(
        device=row.topic_id,
        online=row.online,
        offline_reason=row.offline_reason,
        enrolled_ms=row.enrolled_ms,
        last_seen_ms=row.last_seen_ms,
        evidence_level=QUOTED if attestation and attestation.believed else 1 if proven else 0,
        attestation=attestation,
        decommission=decommission,
        contradictions=twisted.get(row.device, 0),
        owner=address.encode(row.owner) if row.owner else None,
        registered_height=row.registered_height,
        hardware=reported.hardware if reported else None,
        gpus=[
            GpuLine(
                index=gpu.index,
                uuid=gpu.uuid,
                name=gpu.name,
                memory_bytes=gpu.memory_bytes,
                gauges=gauges.gpus.get(gpu.index),
                quarantined=gpu.quarantined,
            )
            for gpu in (reported.gpus if reported else [])
        ],
        software=reported.software if reported else None,
        problems=[
            msgspec.structs.replace(each, logs=[])
            for each in (reported.problems[:PROBLEMS_AT_MOST] if reported else [])
        ],
        system=gauges.system,
        cpu_history=list(gauges.cpu),
        records_accepted=board.accepted[row.topic_id],
        records_refused=refused.get(row.topic_id, 0),
        pog=[_pog(gpu, points) for gpu, points in sorted(answers.items())],
    )


def _acceptances(connection: Connection) -> dict[bytes, Acceptance]:
    """The newest report of each device."""
    table = acceptances.c
    newest = select(func.max(table.id)).group_by(table.device)
    names = Acceptance.__struct_fields__
    query = select(table.device, *(table[name] for name in names)).where(table.id.in_(newest))
    return {
        device: Acceptance(**dict(zip(names, values, strict=True))) for device, *values in connection.execute(query)
    }


# Those who were let in again since begin anew.
_ENDED = (
    select(decommissions)
    .join(devices, devices.c.device == decommissions.c.device)
    .where(devices.c.enrolled_ms <= decommissions.c.asked_ms)
)


def _decommission(row: Any) -> Decommission:
    raw = row.after_raw or row.before_raw
    statement = None if raw is None else read_wipe(raw)[0]
    return Decommission(
        state="asked" if row.before_ms is None else "stated" if row.after_ms is None else "confirmed",
        asked_ms=row.asked_ms,
        before_ms=row.before_ms,
        after_ms=row.after_ms,
        method=None if statement is None else statement.method,
        revoked_height=None if statement is None else statement.revoked_height,
    )


def _attestation(row: Any, board: Board, now_ms: int) -> Attestation:
    reason = row.reason
    last_key = board.record_keys.get(row.device.hex()[:32])
    if reason is None and now_ms >= row.not_after_ms:
        reason = "the last quote is more than a day old: the machine makes no new one"
    elif reason is None and row.record_key is not None and last_key not in (None, row.record_key.hex()):
        reason = "its last record is signed by a key that no quote vouches for: it may have booted something else"
    return Attestation(
        believed=reason is None,
        at_ms=row.at_ms,
        reason=reason,
        image=row.image,
        secure_boot=row.secure_boot,
        manufacturer=row.manufacturer,
    )


def _pog(gpu: str, points: Sequence[PogPoint]) -> Pog:
    rates = [point.operations_per_s for point in points if point.ok and point.operations_per_s is not None]
    return Pog(
        gpu=gpu,
        passed=sum(point.ok for point in points),
        failed=sum(not point.ok for point in points),
        rate=int(statistics.median(rates[-MEDIAN_OF:])) if rates else None,
        last_code=points[-1].code if points else None,
        history=[point.operations_per_s for point in points],
    )


def _refused(by_code: dict[str, int]) -> list[Refused]:
    ordered = sorted(by_code.items(), key=lambda item: (-item[1], item[0]))
    return [
        Refused(code=code, count=count, meaning=REGISTRY[code].meaning, remedy=REGISTRY[code].remedy)
        for code, count in ordered
        if code in REGISTRY
    ]


def _owners(board: Board, lines: list[DeviceLine]) -> list[OwnerLine]:
    ordered = sorted(board.rewards.items(), key=lambda item: (-item[1].total, item[0]))
    return [
        OwnerLine(
            owner=owner,
            total=format_ankr(line.total),
            last=format_ankr(line.last),
            last_epoch=line.last_epoch,
            devices=sum(device.owner == owner for device in lines),
            history=[format_ankr(amount) for amount in line.history],
        )
        for owner, line in ordered
    ]


def _contradictions(connection: Connection) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for (device,) in connection.execute(select(contradictions.c.device)):
        found[device] = found.get(device, 0) + 1
    return found
