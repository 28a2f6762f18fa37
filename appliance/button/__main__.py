"""`python3 -m appliance.button`: listens to the power button and asks the root helper for what its presses mean."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

from appliance.button.keys import INPUT, open_power_keys, presses
from appliance.button.presses import Meaning, Presses
from appliance.helper.client import Asking, Helper
from chain.errors import DccnError
from chain.signals import call_on

LOOK_EVERY_S: Final = 5.0
TICK_S: Final = 0.5


def run(folder: Path, helper: Asking, ending: threading.Event) -> None:
    """Until `ending`. Devices come and go, as keyboards do."""
    series, keys = Presses(), dict[str, int]()
    looked_s = -LOOK_EVERY_S
    while not ending.is_set():
        now_s = time.monotonic()
        if now_s - looked_s >= LOOK_EVERY_S:
            keys.update(open_power_keys(folder, set(keys)))
            looked_s = now_s
        ready, _, _ = select.select(list(keys.values()), [], [], TICK_S if series.is_open else LOOK_EVERY_S)
        for name in [name for name, descriptor in keys.items() if descriptor in ready]:
            try:
                for _ in range(presses(keys[name])):
                    act(helper, series.press(time.monotonic()))
            except OSError:
                os.close(keys.pop(name))
        act(helper, series.wait(time.monotonic()))
    for descriptor in keys.values():
        os.close(descriptor)


def act(helper: Asking, meaning: Meaning | None) -> None:
    if meaning is None:
        return
    print(f"dccn: the power button asks for {meaning}", flush=True)
    try:
        helper.ask(meaning.value)
    except DccnError as error:
        print(f"dccn: {error} {error.remedy}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    over = threading.Event()
    call_on(over.set, signal.SIGTERM, signal.SIGINT)
    run(INPUT, Helper(), over)
