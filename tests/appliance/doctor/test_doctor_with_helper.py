"""The doctor and the real root helper over its real socket: every repair is a verb that it knows and allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ward import BOOT, Ward, gpu_uuid, well_ward

from appliance.doctor.hands import HelperHands
from appliance.doctor.problems import KINDS
from appliance.doctor.repairing import REPAIRS, make
from appliance.doctor.round import Doctor
from tests.appliance.running_helper import RunningHelper

CARD = "0000:02:00.0"
UUIDS = {CARD: gpu_uuid(CARD)}
Start = Callable[..., RunningHelper]
CALLS = {
    "restart-workload": "systemctl start dccn-restart-workload.service",
    "reset-clocks": f"systemctl start dccn-gpu-clocks@{gpu_uuid(CARD)}.service",
    "reset-gpu": f"systemctl start dccn-gpu-reset@{gpu_uuid(CARD)}.service",
    "quarantine-gpu": f"systemctl start dccn-gpu-quarantine@{CARD}.service",
    "reboot": "systemctl --no-block reboot",
    "restart-k3s": "systemctl --no-block restart k3s.service",
    "vacuum-journal": "systemctl start dccn-vacuum-journal.service",
    "remove-images": "systemctl start dccn-remove-images.service",
    "set-clock": "systemctl --no-block restart systemd-timesyncd.service",
    "restart-resolver": "systemctl --no-block restart systemd-resolved.service",
    "restart-agent": "systemctl --no-block restart dccn-agent.service",
}


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return well_ward(tmp_path / "machine")


def test_every_repair_is_a_verb_that_the_helper_does_for_the_doctor(start_helper: Start) -> None:
    helper = start_helper("doctor")
    hands = HelperHands(helper.client.ask, UUIDS)
    for name in REPAIRS:
        subject = CARD if any(name in kind.ladder and "gpu" in key for key, kind in KINDS.items()) else ""
        assert make(name, subject, hands)[0] == "done"
    assert helper.calls == [CALLS[name] for name in REPAIRS]


def test_a_lost_card_goes_up_the_ladder_through_the_helper(start_helper: Start, ward: Ward, tmp_path: Path) -> None:
    helper = start_helper("doctor")
    doctor = Doctor(ward.machine(), tmp_path / "history.json", lambda uuids: HelperHands(helper.client.ask, uuids))
    doctor.round(BOOT, 60)
    assert ward.nvml is not None
    ward.nvml.cards[1].is_lost = True
    for minute in range(60):
        told = doctor.round(BOOT, 120 + 60 * minute)
    assert helper.calls == [CALLS[name] for name in KINDS["gpu_lost"].ladder]
    assert [each.outcome for each in told.problems[0].attempts] == ["done"] * 5


def test_a_helper_that_fails_or_is_gone_leaves_a_failed_attempt(
    start_helper: Start, ward: Ward, tmp_path: Path
) -> None:
    helper = start_helper("doctor")
    helper.breaks("systemctl")
    hands = HelperHands(helper.client.ask, UUIDS)
    outcome, said = make("reset-gpu", CARD, hands)
    assert outcome == "failed" and "it is broken" in said
    helper.stop()
    outcome, said = make("restart-k3s", "", hands)
    assert outcome == "failed" and "helper" in said


def test_the_helper_does_for_the_doctor_nothing_that_takes_the_owners_word(start_helper: Start) -> None:
    helper = start_helper("doctor")
    hands = HelperHands(helper.client.ask, UUIDS)
    for verb in ("factory-reset", "power-off", "set-pin"):
        with pytest.raises(Exception, match=r"doctor|arguments"):
            hands.do(verb)
    assert helper.calls == []
