"""The hardware watchdog: there, armed, and with a span after which a hanging machine is started again."""

from __future__ import annotations

import pytest

from appliance.acceptance.probe import Probe

pytestmark = pytest.mark.needs_watchdog
FOLDER = "sys/class/watchdog/watchdog0"
LONGEST_S = 600


def test_it_is_armed(probe: Probe, measured) -> None:
    state = probe.machine.text(f"{FOLDER}/state")
    measured("identity", probe.machine.text(f"{FOLDER}/identity"))
    if state is None:
        pytest.skip("its driver does not tell its state")
    assert state == "active", "nobody feeds it, so it will start nothing again: RuntimeWatchdogSec"


def test_it_waits_no_longer_than_ten_minutes(probe: Probe, measured) -> None:
    timeout_s = probe.machine.number(f"{FOLDER}/timeout")
    measured("seconds", timeout_s)
    if timeout_s is None:
        pytest.skip("its driver does not tell its time")
    assert 0 < timeout_s <= LONGEST_S


def test_it_was_not_what_started_this_boot(probe: Probe) -> None:
    """Bit 5 of bootstatus (WDIOF_CARDRESET): the last boot hung."""
    status = probe.machine.number(f"{FOLDER}/bootstatus")
    if status is None:
        pytest.skip("its driver does not tell what started this boot")
    assert not status & 0x20, "the watchdog had to start this machine again: look at the boot before"
