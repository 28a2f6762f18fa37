"""`python3 -m appliance.provisioning`: at boot, before the network. Always leaves a machine that can run."""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.provisioning import render
from appliance.provisioning.settings import MAX_BYTES, OwnerSettings, parse
from appliance.reset import mark
from chain import files
from chain.errors import DccnError

CONFIG = Path("run/dccn/config/dccn.toml")
WIPED = CONFIG.with_name(mark.DONE)
"""What the last factory reset left: the agent makes it known to the hub that asked."""
MACHINE_ID = Path("etc/machine-id")
NAME = Path("proc/sys/kernel/hostname")
PUBLIC_FOLDER_MODE = 0o755


def main(root: Path = Path("/")) -> int:
    """Read the owner's file below `root` and write what follows from it below `root`/run; 1 if anything was off."""
    settings = read(root / CONFIG)
    for name, text in render.files(settings).items():
        path = root / "run" / name
        secret = name.startswith(("dccn/", "wpa_supplicant/")) and name != render.PROBLEMS
        if not secret:
            # systemd's network and time services read theirs as accounts of their own.
            path.parent.mkdir(mode=PUBLIC_FOLDER_MODE, parents=True, exist_ok=True)
        files.replace(path, text.encode(), mode=files.PRIVATE_MODE if secret else files.PUBLIC_MODE)
    wiped = read_file(root / WIPED)
    if wiped is not None:
        files.replace(root / "run/dccn/wiped.json", wiped, mode=files.PUBLIC_MODE)
    (root / NAME).write_text(hostname(settings, root) + "\n")
    for problem in settings.problems:
        print(f"dccn: {problem}", file=sys.stderr)
    return 1 if settings.problems else 0


def read_file(path: Path) -> bytes | None:
    """A small file; None where there is none that can be read."""
    try:
        data = files.read(path, mark.MAX_BYTES)
    except DccnError:
        return None
    return data if data is not None and len(data) <= mark.MAX_BYTES else None


def read(path: Path) -> OwnerSettings:
    """The settings in the file, or none; never raises."""
    try:
        data = files.read(path, MAX_BYTES)
    except DccnError as error:
        return OwnerSettings(problems=(error.message,))
    return parse(data or b"")


def hostname(settings: OwnerSettings, root: Path) -> str:
    """The owner's name for the machine, or `dccn-` and six digits that stay the same for this board."""
    if settings.hostname:
        return settings.hostname
    try:
        return f"dccn-{(root / MACHINE_ID).read_text().strip()[:6]}"
    except OSError:
        return "dccn"


if __name__ == "__main__":
    sys.exit(main())
