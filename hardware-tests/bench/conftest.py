"""What a bench gives to its tests: power and console of one machine, an emulated or a real one, by labgrid."""

from __future__ import annotations

import json

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
        # To the line's end: half a line that ends in a brace is no event yet.
        pattern = rf'(\{{"event": "{name}"[^\r\n]*\}})\s*[\r\n]'
        _index, _before, match, _after = self.console.expect(pattern, timeout=timeout_s)
        return json.loads(match.group(1).decode("utf-8", "replace"))


@pytest.fixture
def bench(target):
    """The machine, switched off at first and in the end."""
    power, console = target.get_driver("PowerProtocol"), target.get_driver("ConsoleProtocol")
    power.off()
    yield Bench(power, console)
    power.off()
