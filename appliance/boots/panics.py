"""The last words of a kernel that ended in a panic: kept in the firmware's memory, moved to the disk at the next boot.

The kernel writes them (efi_pstore), systemd-pstore.service moves them to /var/lib/systemd/pstore.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.boots.small_files import text

FOLDER: Final = Path("var/lib/systemd/pstore")
MARK: Final = "Kernel panic - not syncing: "


def last_panic(root: Path, now_ms: int) -> str | None:
    """Why the kernel of the boot before ended, if it wrote that: only what was moved in this boot is of that boot."""
    up_s = text(root / "proc/uptime").split()
    if not up_s:
        return None
    begun_ms = now_ms - float(up_s[0]) * 1000 - 1000
    for path in sorted((root / FOLDER).rglob("dmesg.txt"), reverse=True):
        if path.stat().st_ctime * 1000 < begun_ms:
            continue
        for line in text(path).splitlines():
            if MARK in line:
                return line[line.index(MARK) :].strip()
    return None
