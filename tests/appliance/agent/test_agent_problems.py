"""What the doctor found reaches the hub: once each, whole in the inventory, and in the agent's own status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.agent.events import EVENTS, sentence
from appliance.agent.notices import NOTICES
from appliance.agent.problems import Problems
from appliance.agent.status import Status
from appliance.doctor.report import STALE_MS, Report, write
from fleet.protocol.messages import Gpu, Hardware, Problem, RepairAttempt, Reported, decode, encode

CARD = "0000:01:00.0"
TRIED = RepairAttempt(repair="restart-workload", at_ms=1, outcome="done")
LOST = Problem(
    id="a1", kind="gpu_lost", subject=CARD, severity="crit", since_ms=1, said="it is lost", suggestion="Check it.",
    logs=["NVRM: Xid 79"],
)  # fmt: skip
WORN = Problem(id="b2", kind="disk_worn", subject="sda", severity="warn", since_ms=1, said="worn", suggestion="Buy.")


class Told:
    """A component before a folder with the doctor's report, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ms = folder, 1_800_000_000_000
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.sent = 0
        self.problems = Problems(self, self._emit, self._send, folder)

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000

    def report(self, *problems: Problem, quarantined: tuple[str, ...] = ()) -> None:
        write(self.folder, Report(at_ms=self.ms, problems=list(problems), quarantined=list(quarantined)))
        self.problems.look()

    def _emit(self, event: str, /, **fields: object) -> None:
        sentence(event, fields)
        self.events.append((event, fields))

    def _send(self) -> None:
        self.sent += 1


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_each_problem_is_told_once_with_what_is_tried_and_when_it_is_over(told: Told) -> None:
    told.report(LOST, WORN)
    told.report(LOST, WORN)
    told.report(msgspec.structs.replace(LOST, attempts=[TRIED]), WORN)
    told.report(WORN)
    assert [event for event, _fields in told.events] == [
        "problem_grave",
        "problem_found",
        "repair_tried",
        "problem_over",
    ]
    assert told.events[0][1]["suggestion"] == "Check it." and told.events[2][1]["repair"] == "restart-workload"
    assert told.sent == 3


def test_the_inventory_has_the_problems_and_marks_the_cards_that_rest(told: Told) -> None:
    told.report(LOST, quarantined=(CARD,))
    gpus = [
        Gpu(index=0, uuid="a", pci="00000000:01:00.0"),
        Gpu(index=1, uuid="b", pci="00000000:02:00.0"),
        Gpu(index=2, uuid="c"),
    ]
    marked = told.problems.mark(Reported(version=0, hardware=Hardware(), gpus=gpus))
    assert [gpu.quarantined for gpu in marked.gpus] == [True, False, False]
    assert decode(encode(marked), Reported).problems == [LOST]


def test_the_status_has_them_without_the_log(told: Told) -> None:
    told.report(LOST, quarantined=(CARD,))
    status = msgspec.structs.replace(Status(), **told.problems.status())
    assert [each.kind for each in status.problems] == ["gpu_lost"] and status.problems[0].logs == []
    assert status.quarantined == [CARD]


def test_without_a_doctor_and_with_one_that_stopped_looking_there_is_nothing_to_tell(told: Told) -> None:
    told.problems.look()
    assert told.events == [] and told.sent == 0
    told.report(LOST)
    told.ms += STALE_MS
    told.problems.look()
    assert told.problems.status() == {"problems": [], "quarantined": []}
    assert told.events[-1][0] == "problem_over"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 10_000, b'{"at_ms": 1, "problems": [1]}'])
def test_a_report_that_cannot_be_read_is_no_report(told: Told, content: bytes) -> None:
    (told.folder / "problems.json").write_bytes(content)
    told.problems.look()
    assert told.events == []


def test_the_hub_hears_of_all_of_it() -> None:
    assert {event for event in EVENTS if event.startswith(("problem_", "repair_"))} <= set(NOTICES)
