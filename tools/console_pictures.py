"""Draw the documents' pictures of the console: the real program, given one machine's facts that never change.

Usage: python -m tools.console_pictures [--check]: writes docs/pictures/console-*.svg, or says which are not of this
program any more.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from appliance.console.app import Console
from appliance.console.facts import Facts
from appliance.console.machine import Link, Machine
from appliance.console.panels import Look

FOLDER: Final = Path("docs/pictures")
SIZE: Final = (80, 24)
GIB: Final = 1 << 30
HUB: Final = "https://hub.example:8443"
MACHINE: Final = Machine(
    uptime_s=1_238_400,
    load=0.6,
    cores=4,
    memory_bytes=8 * GIB,
    memory_free_bytes=int(6.7 * GIB),
    data_bytes=238 * GIB,
    data_free_bytes=231 * GIB,
    hottest_c=47.0,
    links=(Link("eth0", True, 1000, ("192.168.1.23/24",), fixed=False),),
    gateway="192.168.1.1",
    dns=("192.168.1.1",),
)
WAITING: Final = Facts(
    "dccn-4be201", "0.1.0", (), {"enrolled": False, "hub_url": HUB}, {"code": "N7DK-5929", "hub_url": HUB}
)
WORKING: Final = Facts(
    "dccn-4be201",
    "0.1.0",
    (),
    {
        "enrolled": True,
        "connected": True,
        "hub_url": HUB,
        "fleet": "home",
        "device": "7e3c39b54a9c5517ac558323c3bfb091",
        "owner": "ankr1akwjlmn437s4l95fs4q6zsws26x8xd452kctda",
        "evidence_level": 3,
        "clock_offset_ms": 12,
        "spool_records": 0,
        "spool_state": "ok",
        "accepted_seq": 20_411,
        "pog_height": 118_204,
        "verified_height": 118_210,
        "light_client": "ok",
        "chain_id": "dccn-1",
        "balance": "404.832170340284998122",
        "rewards_total": "1404.8",
    },
    {},
)
# File → the facts, and the keys that are pressed.
PICTURES: Final[Mapping[str, tuple[Facts, tuple[str, ...]]]] = {
    "console-claim.svg": (WAITING, ("3",)),
    "console-earnings.svg": (WORKING, ("2",)),
    "console-reset.svg": (WORKING, ("6", "down", "down", "down", "enter")),
}


class Nobody:
    """The pictures show what asks the helper for nothing."""

    def ask(
        self, verb: str, arguments: Mapping[str, object] | None = None, *, pin: str | None = None
    ) -> dict[str, Any]:
        return {"is_set": True, "lines": []}


def main(folder: Path, *, check: bool) -> int:
    """Write the pictures, or compare; 1 when one differs from its file."""
    differing = []
    for name, (facts, keys) in PICTURES.items():
        drawn = asyncio.run(draw(facts, keys))
        path = folder / name
        if check and (not path.exists() or path.read_text("utf-8") != drawn):
            differing.append(name)
        elif not check:
            path.write_text(drawn, "utf-8")
    if differing:
        print(f"not of this program any more: {', '.join(differing)}; run: python -m tools.console_pictures")
    return int(bool(differing))


async def draw(facts: Facts, keys: tuple[str, ...]) -> str:
    """The console after these keys, as SVG without anything that a viewer would have to fetch."""
    app = Console(lambda: Look(facts, MACHINE), Nobody())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*keys)
        await pilot.pause(0.2)
        drawn = app.export_screenshot(title=f"{facts.hostname}: the console")
    return re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)


if __name__ == "__main__":
    raise SystemExit(main(FOLDER, check="--check" in sys.argv[1:]))
