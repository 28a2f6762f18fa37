"""`python3 -m appliance.agent.updates`: the updater as a service, which SIGUSR1 lets look at once."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from pathlib import Path
from typing import Final

from appliance.agent import watchdog
from appliance.agent.updates.pauses import LOOK_S, REOPEN_S
from appliance.agent.updates.record import RecordFile
from appliance.helper.client import Helper
from chain.errors import DccnError
from chain.signals import call_on

DRAIN_S: Final = 360.0
FIRST_LOOK_S: Final = (60.0, 600.0)
"""A fleet that comes back after a power cut does not ask all at once."""
SPREAD: Final = 0.15


def main() -> int:
    """Take turns until SIGTERM. Raises nothing: a fault of one turn is in the record."""
    woken, stopping = threading.Event(), threading.Event()

    def stop() -> None:
        stopping.set()
        woken.set()

    call_on(woken.set, signal.SIGUSR1)
    call_on(stop, signal.SIGTERM)
    state = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/dccn-updates"))
    face = Path(os.environ.get("RUNTIME_DIRECTORY", "/run/dccn-updates"))
    try:
        kept = RecordFile(state, face)
        kept.show()
        watchdog.of_this_process().ready()  # from here on SIGUSR1 does not end it
        woken.wait(REOPEN_S if kept.record.closed_in else random.uniform(*FIRST_LOOK_S))
        # Not before it is needed: while the machine starts, others need the processor more than TUF's libraries.
        from appliance.agent.updates.updating import Machine, Updater

        updater = Updater(Machine(Path("/"), Helper(timeout_s=DRAIN_S).ask), state, kept)
        while not stopping.is_set():
            woken.clear()
            pause_s = _spread(updater.turn())
            print(f"dccn: updates: {kept.record.state}: {kept.record.reason or 'nothing to do'}", flush=True)
            woken.wait(pause_s)
    except DccnError as error:
        print(f"dccn: {error} {error.remedy}", file=sys.stderr)
        return error.exit_code
    return 0


def _spread(pause_s: float) -> float:
    return pause_s * random.uniform(1 - SPREAD, 1 + SPREAD) if pause_s >= LOOK_S else pause_s


if __name__ == "__main__":
    sys.exit(main())
