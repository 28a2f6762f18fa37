"""What a bench gives to its tests: power and console of one machine, an emulated or a real one, by labgrid."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

BOOT_S = 600.0


def pytest_addoption(parser):
    parser.addoption("--cycles", type=int, default=3, help="how often the power is cut")


class Bench:
    """One machine with its plug and its serial line."""

    def __init__(self, power, console):
        self.power, self.console = power, console

    def event(self, name, timeout_s=BOOT_S):
        """The next event of this name that the machine prints, as the JSON that it is."""
        # To the line's end, since half a line is no event yet; what the kernel wrote into the line is not the event's.
        pattern = rf'(\{{"event": "{name}"[^\r\n]*)[\r\n]'
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = max(deadline - time.monotonic(), 0)
            _index, _before, match, _after = self.console.expect(pattern, timeout=left_s)
            with contextlib.suppress(json.JSONDecodeError):
                return json.JSONDecoder().raw_decode(match.group(1).decode("utf-8", "replace"))[0]


@pytest.fixture
def bench(target):
    """The machine, switched off at first and in the end."""
    power, console = target.get_driver("PowerProtocol"), target.get_driver("ConsoleProtocol")
    power.off()
    yield Bench(power, console)
    power.off()
