"""Which machines the page shows, and how: a card each while they are few, then one line each, trouble first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fleet.hub.api.overview import DeviceLine, GpuLine, OwnerLine, Pog

CARDS_AT_MOST: Final = 6
LINES_AT_MOST: Final = 100
"""A page that is drawn again twice a second for every viewer stays small; the API lists them all."""
OWNERS_AT_MOST: Final = 12


@dataclass(frozen=True, slots=True)
class Roster:
    """`cards` and `lines` exclude each other; `hidden` machines are on neither."""

    cards: Sequence[DeviceLine]
    lines: Sequence[DeviceLine]
    hidden: int


def roster(devices: Sequence[DeviceLine]) -> Roster:
    """Few machines keep the order in which they joined; of many, those come first that somebody should look at."""
    if len(devices) <= CARDS_AT_MOST:
        return Roster(devices, (), 0)
    shown = sorted(devices, key=_urgency)[:LINES_AT_MOST]
    return Roster((), shown, len(devices) - len(shown))


def top_owners(owners: Sequence[OwnerLine]) -> Sequence[OwnerLine]:
    """Those who earned most; they come sorted."""
    return owners[:OWNERS_AT_MOST]


def proven_rate(device: DeviceLine) -> int | None:
    """What all processors of the machine have proven together, in operations per second."""
    rates = [pog.rate for pog in device.pog if pog.rate is not None]
    return sum(rates) if rates else None


def proof_of(device: DeviceLine, processor: str) -> Pog | None:
    """The challenges that one processor answered: `cpu` or a GPU's UUID."""
    return next((pog for pog in device.pog if pog.gpu == processor), None)


def other_proofs(device: DeviceLine) -> list[Pog]:
    """Of processors that have no tile of their own: the CPU, and GPUs that the machine no longer reports."""
    reported = {gpu.uuid for gpu in device.gpus}
    return [pog for pog in device.pog if pog.gpu not in reported]


def models(gpus: Sequence[GpuLine]) -> list[str]:
    """GPUs by model: six of one kind are `6 × NVIDIA GeForce RTX 4090`."""
    counts: dict[str, int] = {}
    for gpu in gpus:
        name = gpu.name or "GPU"
        counts[name] = counts.get(name, 0) + 1
    return [f"{count} × {name}" if count > 1 else name for name, count in counts.items()]


def ails(device: DeviceLine) -> bool:
    """Whether the machine has a grave problem."""
    return any(problem.severity == "crit" for problem in device.problems)


def _urgency(device: DeviceLine) -> tuple[bool, bool, bool, bool, int, str]:
    return (
        device.contradictions == 0,
        device.online is not False,
        not ails(device),
        device.records_refused == 0,
        -(proven_rate(device) or 0),
        device.device,
    )


FILTERS: Final = {
    "roster": roster,
    "top_owners": top_owners,
    "proven_rate": proven_rate,
    "proof_of": proof_of,
    "other_proofs": other_proofs,
    "ails": ails,
    "models": models,
}
