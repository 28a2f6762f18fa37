"""`python3 -m appliance.reset [DATA CONFIG]`: at boot, before the data partition is made, opened or mounted.

Does nothing where no mark asks for it. Ends with 0 when the data is gone and the machine shall start again.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Final

from appliance.reset.mark import Marks
from appliance.reset.wipe import Method, Wiped, wipe
from chain.errors import DccnError

DATA: Final = Path("/dev/disk/by-partlabel/data")
CONFIG: Final = Path("/dev/disk/by-partlabel/DCCNCFG")


def main(data: Path, config: Path) -> int:
    """0 after a reset, 3 where none was asked for, 1 when it failed: then the mark stays, and the next boot tries."""
    marks = Marks(config)
    try:
        said = marks.begin()
        if said is None:
            return 3
        print(f"dccn: factory reset: wiping {data}", flush=True)
        wiped = wipe(data, _tell) if data.exists() else Wiped(Method.nothing, 0, None)
        marks.end(report(wiped, said, time.time_ns() // 1_000_000))
    except DccnError as error:
        print(f"dccn: factory reset: {error} {error.remedy}", file=sys.stderr)
        return 1
    print(f"dccn: factory reset: the data is gone ({wiped.method}); the machine starts again", flush=True)
    return 0


def report(wiped: Wiped, said: bytes, at_ms: int) -> bytes:
    """What is left on the owner's partition: how it was wiped, when by this machine's clock, and what asked for it."""
    document = {
        "method": wiped.method,
        "bytes": wiped.size_bytes,
        "volume": wiped.volume.hex() if wiped.volume else None,
        "at_ms": at_ms,
        "asked": said.decode("ascii", "replace").strip()[:200],
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _tell(done: int, whole: int) -> None:
    if done * 10 // whole != (done - 1) * 10 // whole:
        print(f"dccn: factory reset: {done * 100 // whole} % overwritten", flush=True)


if __name__ == "__main__":
    chosen = [Path(argument) for argument in sys.argv[1:3]]
    sys.exit(main(*chosen) if len(chosen) == 2 else main(DATA, CONFIG))
