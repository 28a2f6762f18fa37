"""Entries of our boot loader in the firmware's boot order: as many as it takes to get past a kernel image it refuses.

systemd-boot counts such an image down and returns to the firmware, which goes on to its next entry. With one entry more
than an image has tries, the last one starts the system before, without anybody pulling the plug.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from appliance.agent.updates.boot_entries import TRIES
from appliance.boots.checks import Run

LOADER: Final = r"\EFI\systemd\systemd-bootx64.efi"
LABELS: Final = tuple(f"dccn {number}" for number in range(1, TRIES + 2))
_LINE = re.compile(r"Boot[0-9A-F]{4}\*? (dccn \d+)\s+(.*)")


def keep_entries(partition: str, run: Run, root: Path = Path("/")) -> list[str]:
    """Make the entries that are missing; what could not be done, as sentences. `partition` is the ESP's GPT identity.

    Nothing is written when they are all there: the firmware's memory wears out too.
    """
    place = _place(partition, root)
    if place is None:
        return [f"there is no disk for the boot partition {partition}"]
    disk, number = place
    status, listed = run(["efibootmgr", "--verbose"])
    if status:
        return ["the firmware's boot order cannot be read"]
    lines = (found for line in listed.splitlines() if (found := _LINE.match(line)) is not None)
    known = {found[1] for found in lines if partition in found[2].lower()}
    faults = []
    for label in reversed(LABELS):  # each new one comes first in the order
        if label not in known:
            where = ["--disk", str(disk), "--part", str(number), "--loader", LOADER]
            if run(["efibootmgr", "--create", *where, "--label", label])[0]:
                faults.append(f"the firmware took no entry {label!r}")
    return faults


def _place(partition: str, root: Path) -> tuple[Path, int] | None:
    """The disk's device file and the partition's number."""
    device = (root / "dev/disk/by-partuuid" / partition).resolve()
    about = (root / "sys/class/block" / device.name).resolve()
    try:
        return Path("/dev", about.parent.name), int((about / "partition").read_text())
    except (OSError, ValueError):
        return None
