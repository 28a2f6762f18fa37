"""Whether the kernel's log has an NVIDIA error (Xid) after which a card cannot be trusted.

Numbers and their meaning: NVIDIA, "Xid Errors" (GPU deployment and management documentation).
"""

from __future__ import annotations

import re
from typing import Final

from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine
from appliance.doctor.pci import pci_address

WINDOW_MIN: Final = 15
KERNEL_LOG: Final = (
    "journalctl",
    "--dmesg",
    "--boot",
    "--no-pager",
    "--output=short-unix",
    f"--since=-{WINDOW_MIN}min",
)
FATAL: Final[dict[int, str]] = {
    48: "double-bit memory error",
    61: "internal microcontroller breakpoint",
    62: "internal microcontroller halt",
    64: "memory page could not be retired",
    74: "NVLink error",
    79: "the card has fallen off the bus",
    95: "uncontained memory error",
    109: "context switch timeout",
    110: "security fault",
    119: "the card's system processor timed out",
    120: "the card's system processor failed",
    136: "link training failed",
    140: "unrecovered memory error",
    143: "initialisation failed",
}
"""Those after which the card needs a reset; the others name a program that did wrong, or a corrected error."""
_LINE = re.compile(r"^(?P<at>\d{9,12}(?:\.\d+)?) .*NVRM: Xid \(PCI:(?P<pci>[0-9A-Fa-f:.]+)\): (?P<xid>\d{1,4})\b")


def check(machine: Machine) -> list[Finding]:
    if not machine.pci_cards() and not machine.cards:
        return [well("there is no NVIDIA card whose errors could be logged")]
    answer = machine.ask(KERNEL_LOG)
    if answer.code != 0:
        return [unknown("the kernel's log cannot be read; membership in systemd-journal would allow it")]
    fatal: dict[str, list[int]] = {}
    mild = 0
    for line in answer.out.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        card, xid, at_ms = pci_address(found["pci"]), int(found["xid"]), int(float(found["at"]) * 1000)
        if at_ms <= machine.repaired_ms.get(card, 0):
            continue
        if xid in FATAL:
            fatal.setdefault(card, []).append(xid)
        else:
            mild += 1
    if fatal:
        return [problem("gpu_error", _said(card, xids), card) for card, xids in sorted(fatal.items())]
    noted = f"; {mild} errors of programs are no fault of a card" if mild else ""
    return [well(f"no card reported a fatal error in {WINDOW_MIN} minutes{noted}")]


def _said(card: str, xids: list[int]) -> str:
    newest = xids[-1]
    often = f", {len(xids)} errors in {WINDOW_MIN} minutes" if len(xids) > 1 else ""
    return f"the card {card} reported Xid {newest}: {FATAL[newest]}{often}"
