"""`python -m appliance.console FOLDER [--page]`: the console on the terminal at stdin; with `--page` also the page.

Usage: python -m appliance.console /run/dccn-face --page < /dev/tty1
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from pathlib import Path

from appliance.console.facts import gather
from appliance.console.page import server
from appliance.console.screen import screen
from appliance.console.terminal import Terminal, console_command, has_screen
from chain.signals import call_on

PORT = 80


def main(folder: Path, *, page: bool, port: int = PORT) -> None:
    """Until SIGTERM. A port that is taken, or a terminal that fails, leaves the other face as it is."""
    ending = threading.Event()
    call_on(ending.set, signal.SIGTERM, signal.SIGINT)
    # The terminal's end must not take the page along.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if page:
        with contextlib.suppress(OSError):
            serving = server("", port, lambda: gather(folder))
            threading.Thread(target=serving.serve_forever, daemon=True).start()
    # The one with the page is the first virtual terminal's; a serial line always has another end.
    seen = has_screen if page else lambda: True
    Terminal(0, lambda: screen(gather(folder)), console_command(folder), is_seen=seen).run(ending)


if __name__ == "__main__":
    main(Path(sys.argv[1]), page="--page" in sys.argv[2:])
