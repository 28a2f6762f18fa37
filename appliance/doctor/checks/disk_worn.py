"""What each disk says of its own health (SMART), as smartctl of smartmontools 7 prints it in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from appliance.doctor.disk_health import FOLDER, command, disks
from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine

WORN_PERCENT: Final = 90
WEAR_ATTRIBUTES: Final = (177, 202, 231, 233)
"""ATA attributes whose normalised value counts from 100 down to what life is left; makers differ in the number."""
BAD_SECTOR_ATTRIBUTES: Final = (197, 198)
"""Sectors that could not be read and wait for their replacement, and those that were given up."""


def check(machine: Machine) -> list[Finding]:
    names = disks(machine)
    if not names:
        return [well("there is no disk that would tell its health")]
    return [_disk(machine, name) for name in names]


def _disk(machine: Machine, name: str) -> Finding:
    document = machine.recorded_json(f"{FOLDER}/{name}.json")
    if document is None:
        document = machine.answer_json(command(name))
    if not isinstance(document, dict) or not ("smart_status" in document or _nvme(document)):
        return unknown(f"{name} does not tell its health, or smartctl may not ask it", subject=name)
    failing = attention(document)
    if failing:
        return problem("disk_failing", f"{name}: {failing}", name)
    worn = worn_percent(document)
    if worn is not None and worn >= WORN_PERCENT:
        return problem("disk_worn", f"{name} has used {worn} % of the writing it was made for", name)
    return well(f"{name} is healthy" + (f", {worn} % worn" if worn is not None else ""))


def attention(document: Mapping[str, Any]) -> str | None:
    """What the disk's own report says is wrong with it, in words; None when nothing is."""
    if _table(document, "smart_status").get("passed") is False:
        return "its own assessment is that it fails"
    nvme = _nvme(document)
    if _count(nvme, "critical_warning"):
        return f"critical warning 0x{_count(nvme, 'critical_warning'):02x}"
    if _count(nvme, "media_errors"):
        return f"{_count(nvme, 'media_errors')} media errors"
    spare, least = nvme.get("available_spare"), nvme.get("available_spare_threshold")
    if isinstance(spare, int) and isinstance(least, int) and spare < least:
        return f"{spare} % of its spare blocks are left, {least} % are the least"
    bad = sum(raw for number, _value, raw in _attributes(document) if number in BAD_SECTOR_ATTRIBUTES)
    return f"{bad} sectors cannot be read" if bad else None


def worn_percent(document: Mapping[str, Any]) -> int | None:
    """How much of the writing that it was made for the disk has seen; None where it does not tell."""
    used = _nvme(document).get("percentage_used")
    if isinstance(used, int):
        return used
    left = [value for number, value, _raw in _attributes(document) if number in WEAR_ATTRIBUTES]
    return 100 - min(left) if left else None


def _attributes(document: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """(number, normalised value, raw value) of an ATA disk's attributes."""
    table = _table(document, "ata_smart_attributes").get("table")
    rows = table if isinstance(table, list) else []
    found = []
    for row in rows:
        raw = row.get("raw", {}).get("value") if isinstance(row, dict) and isinstance(row.get("raw"), dict) else None
        if isinstance(raw, int) and isinstance(row.get("id"), int) and isinstance(row.get("value"), int):
            found.append((row["id"], row["value"], raw))
    return found


def _nvme(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return _table(document, "nvme_smart_health_information_log")


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _count(table: Mapping[str, Any], name: str) -> int:
    value = table.get(name)
    return value if isinstance(value, int) else 0
