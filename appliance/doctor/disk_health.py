"""`python -m appliance.doctor.disk_health FOLDER`: what each disk says of its health, into FOLDER for the doctor.

This part alone asks as root; it takes no argument from anybody, and what it writes is what smartctl printed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from appliance.agent.inventory import NOT_DISKS
from appliance.doctor.machine import Machine
from chain.errors import DccnError
from chain.files import PUBLIC_MODE, replace

FOLDER: Final = "run/dccn-disks"
SILENT: Final = (*NOT_DISKS, "vd", "mmcblk")
"""Block devices that tell nothing of their health."""


def disks(machine: Machine) -> list[str]:
    """The disks that may tell their health, by name."""
    return [name for name in machine.names("sys/block") if not name.startswith(SILENT)]


def command(name: str) -> list[str]:
    return ["smartctl", "--json", "--all", f"/dev/{name}"]


def record(machine: Machine, folder: Path) -> None:
    """One file per disk that answers. Raises Faulty when one cannot be written."""
    for name in disks(machine):
        said = machine.ask(command(name)).out
        if said:
            replace(folder / f"{name}.json", said.encode(), mode=PUBLIC_MODE, sync=False)


def main(folder: Path) -> int:
    try:
        record(Machine(), folder)
    except DccnError as error:
        print(f"dccn: {error} {error.remedy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
