"""Whole rounds on recorded machines: what is on disk before a repair, what is told, and simulated days of bad cards."""

from __future__ import annotations

import os
import random
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ward import BOOT, FakeCard, FakeNvml, Ward, gpu_uuid, well_ward

from appliance.doctor import history as memory
from appliance.doctor import report as reporting
from appliance.doctor.hands import HelperHands
from appliance.doctor.history import DAY_S, HOUR_S
from appliance.doctor.problems import KINDS
from appliance.doctor.repairing import REPAIRS
from appliance.doctor.round import Doctor
from chain.errors import DccnError, Faulty, Refused, Unavailable

CARD = "0000:02:00.0"


@dataclass
class RecordingHands:
    """Hands that note what they are asked to do; `effect` is called with each verb."""

    done: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    effect: Any = None

    def do(self, verb: str, **arguments: Any) -> str:
        self.done.append((verb, arguments))
        if self.effect is not None:
            self.effect(verb, arguments)
        return f"{verb} was done"

    def uuid(self, card: str) -> str:
        return gpu_uuid(card)


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return well_ward(tmp_path / "machine")


def test_a_lost_card_is_treated_step_by_step_and_told_with_its_log(ward: Ward, tmp_path: Path) -> None:
    hands = RecordingHands()
    doctor = Doctor(ward.machine(), tmp_path / "history.json", lambda _uuids: hands)
    assert doctor.round(BOOT, 60).problems == []
    assert ward.nvml is not None
    ward.nvml.cards[1].is_lost = True
    ward.answer("journalctl --dmesg --no-pager", "kernel: pcieport link down\nkernel: \x1b[2JNVRM: gone\n")
    told = [doctor.round(BOOT, 120 + 60 * minute) for minute in range(60)]
    assert [verb for verb, _arguments in hands.done] == [
        "restart-workload", "gpu-clocks", "gpu-reset", "gpu-quarantine", "reboot"]  # fmt: skip
    assert hands.done[2] == ("gpu-reset", {"gpu": gpu_uuid(CARD)})
    (problem,) = told[-1].problems
    assert (problem.kind, problem.subject, problem.severity) == ("gpu_lost", CARD, "crit")
    assert problem.logs == ["kernel: pcieport link down", "kernel: ?[2JNVRM: gone"]
    assert problem.suggestion == KINDS["gpu_lost"].advice and problem.needs_person
    assert [each.outcome for each in problem.attempts] == ["done"] * 5
    assert told[-1].quarantined == [CARD]
    assert told[2].problems[0].next_repair == "reset-clocks"
    assert len({each.problems[0].id for each in told}) == 1


def test_what_is_begun_is_on_disk_before_it_is_done(ward: Ward, tmp_path: Path) -> None:
    """The machine goes down in the middle of a repair: the attempt counts all the same."""
    path = tmp_path / "history.json"

    class PowerCut(BaseException):
        pass

    def cut(_verb: str, _arguments: dict[str, Any]) -> None:
        assert [each.outcome for each in memory.load(path).attempts] == ["begun"]
        raise PowerCut

    doctor = Doctor(ward.machine(), path, lambda _uuids: RecordingHands(effect=cut))
    ward.answer("systemctl show k3s.service", "LoadState=loaded\nUnitFileState=enabled\nActiveState=failed\n")
    doctor.round(BOOT, 60)
    with pytest.raises(PowerCut):
        doctor.round(BOOT, 120)
    (problem,) = memory.load(path).open
    assert [(each.repair, each.outcome) for each in problem.attempts] == [("restart-k3s", "begun")]


def test_where_nothing_can_be_remembered_nothing_is_repaired(ward: Ward, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    hands = RecordingHands()
    doctor = Doctor(ward.machine(), tmp_path / "file" / "history.json", lambda _uuids: hands)
    ward.answer("systemctl show k3s.service", "LoadState=loaded\nUnitFileState=enabled\nActiveState=failed\n")
    for minute in range(3):
        with pytest.raises(Faulty):
            doctor.round(BOOT, 60 * minute)
    assert hands.done == []


def test_a_repair_that_is_refused_is_told_as_failed(ward: Ward, tmp_path: Path) -> None:
    def refuse(verb: str, _arguments: dict[str, Any]) -> None:
        raise Refused("usage", f"{verb} is refused")

    doctor = Doctor(ward.machine(), tmp_path / "history.json", lambda _uuids: RecordingHands(effect=refuse))
    ward.answer("systemctl show k3s.service", "LoadState=loaded\nUnitFileState=enabled\nActiveState=failed\n")
    doctor.round(BOOT, 60)
    (problem,) = doctor.round(BOOT, 120).problems
    assert [(each.outcome, each.said) for each in problem.attempts] == [("failed", "restart-unit is refused")]


def test_without_hands_the_doctor_looks_tells_and_repairs_nothing(ward: Ward, tmp_path: Path) -> None:
    doctor = Doctor(ward.machine(), tmp_path / "history.json")
    ward.answer("systemctl show k3s.service", "LoadState=loaded\nUnitFileState=enabled\nActiveState=failed\n")
    told = [doctor.round(BOOT, 60 * minute) for minute in range(30)]
    assert [each.attempts for each in told[-1].problems] == [[]]


def test_a_quarantine_is_made_again_after_a_boot_and_ends_after_a_well_day(ward: Ward, tmp_path: Path) -> None:
    path, hands = tmp_path / "history.json", RecordingHands()
    doctor = Doctor(ward.machine(), path, lambda _uuids: hands)
    doctor.round(BOOT, 60)
    memory.save(path, memory.quarantine(memory.load(path), CARD))
    doctor = Doctor(ward.machine(), path, lambda _uuids: hands)
    assert doctor.round("boot-2", 60).quarantined == [CARD]
    assert doctor.round("boot-2", 120).quarantined == [CARD]
    assert hands.done == [("gpu-quarantine", {"card": CARD, "on": True})]
    assert doctor.round("boot-2", 120 + DAY_S).quarantined == []
    assert hands.done[1:] == [("gpu-quarantine", {"card": CARD, "on": False})]


def test_a_machine_on_which_nothing_happens_is_written_down_now_and_then_only(ward: Ward, tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    doctor = Doctor(ward.machine(), path, lambda _uuids: RecordingHands())
    written = set()
    for minute in range(60):
        doctor.round(BOOT, 60 * minute)
        written.add(path.stat().st_mtime_ns)
    assert len(written) <= 7


def test_the_report_is_for_everybody_and_an_old_one_says_nothing(ward: Ward, tmp_path: Path) -> None:
    told = Doctor(ward.machine(), tmp_path / "history.json").round(BOOT, 60)
    reporting.write(tmp_path / "face", told)
    assert stat.S_IMODE((tmp_path / "face" / reporting.FILE).stat().st_mode) == 0o644
    assert reporting.load(tmp_path / "face", told.at_ms) == told
    assert reporting.load(tmp_path / "face", told.at_ms + reporting.STALE_MS) is None
    (tmp_path / "face" / reporting.FILE).write_bytes(b"[" * 5_000)
    assert reporting.load(tmp_path / "face", told.at_ms) is None
    assert reporting.load(tmp_path / "nowhere", told.at_ms) is None


def test_the_hands_name_cards_as_the_helper_wants_them() -> None:
    asked: list[tuple[str, dict[str, object]]] = []

    def helper(verb: str, arguments: Any) -> dict[str, object]:
        asked.append((verb, dict(arguments)))
        return {}

    hands = HelperHands(helper, {CARD: "GPU-1"})
    assert hands.do("gpu-reset", gpu=hands.uuid(CARD)) == "gpu-reset GPU-1"
    assert asked == [("gpu-reset", {"gpu": "GPU-1"})]
    with pytest.raises(Unavailable) as refused:
        hands.uuid("0000:09:00.0")
    assert refused.value.code == "repair_unavailable"


# Simulated days ------------------------------------------------------------------------------------------------------

SEED = int(os.environ.get("DCCN_DOCTOR_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)


@dataclass
class BadCard:
    """A machine with a card that falls off the bus every `every_s` seconds; `healers` may bring it back."""

    ward: Ward
    file: Path
    every_s: int
    healers: dict[str, float]
    chance: random.Random
    boots: int = 1
    boot_s: int = 0
    now_s: int = 0
    next_fall_s: int = 0
    log: list[tuple[int, str]] = field(default_factory=list)

    def live(self, seconds: int) -> None:
        self.next_fall_s = self.every_s
        for _ in range(seconds // 60):
            self.now_s, self.boot_s = self.now_s + 60, self.boot_s + 60
            card = self._card()
            if self.now_s >= self.next_fall_s and not card.is_lost:
                card.is_lost = True
            hands = RecordingHands(effect=self._feel)
            machine = self.ward.machine(now_ms=lambda: self.now_s * 1000)
            Doctor(machine, self.file, lambda _uuids, hands=hands: hands).round(f"boot-{self.boots}", self.boot_s)  # type: ignore[misc]

    def _feel(self, verb: str, _arguments: dict[str, Any]) -> None:
        self.log.append((self.now_s, verb))
        if verb == "reboot":
            self.boots, self.boot_s = self.boots + 1, 0
        if self._card().is_lost and self.chance.random() < self.healers.get(verb, 0.0):
            self._card().is_lost = False
            self.next_fall_s = self.now_s + self.every_s

    def _card(self) -> FakeCard:
        assert self.ward.nvml is not None
        return self.ward.nvml.cards[1]


def simulate(ward: Ward, file: Path, days: int, every_s: int, healers: dict[str, float], seed: int) -> BadCard:
    ward.nvml = FakeNvml([FakeCard("0000:01:00.0"), FakeCard(CARD)])
    story = BadCard(ward, file, every_s, healers, random.Random(seed))
    story.live(days * DAY_S)
    return story


def test_a_card_that_falls_off_the_bus_every_forty_minutes_is_quarantined_within_half_a_day(
    ward: Ward, tmp_path: Path
) -> None:
    story = simulate(ward, tmp_path / "h.json", 1, 40 * 60, {"restart-workload": 1, "gpu-clocks": 1, "gpu-reset": 1}, 1)
    first = {verb: next(at for at, one in story.log if one == verb) for verb in ("gpu-quarantine", "restart-workload")}
    assert first["restart-workload"] < HOUR_S and first["gpu-quarantine"] < DAY_S // 2
    assert Counter(verb for _at, verb in story.log)["reboot"] == 1


LIMITED = {
    "restart-workload": "restart-workload",
    "gpu-clocks": "reset-clocks",
    "gpu-reset": "reset-gpu",
    "reboot": "reboot",
}


def a_random_card(ward: Ward, file: Path, days: int, seed: int) -> BadCard:
    chance = random.Random(seed)
    healers = {verb: chance.random() for verb in LIMITED}
    return simulate(ward, file, days, chance.choice([15, 40, 90, 400, 1_000]) * 60, healers, seed)


def check_limits(story: BadCard) -> None:
    assert story.log, "a card that falls is treated"
    for verb, name in LIMITED.items():
        times = [at for at, one in story.log if one == verb]
        for span_s, most in ((HOUR_S, REPAIRS[name].per_hour), (DAY_S, REPAIRS[name].per_day)):
            assert all(sum(at <= other < at + span_s for other in times) <= most for at in times)


def test_a_simulated_day_keeps_every_limit_and_is_replayed_from_its_seed(ward: Ward, tmp_path: Path) -> None:
    print(f"replay with DCCN_DOCTOR_SEED={SEED}")
    story = a_random_card(ward, tmp_path / "h.json", 1, SEED)
    check_limits(story)
    assert a_random_card(well_ward(tmp_path / "again"), tmp_path / "again.json", 1, SEED).log == story.log


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_simulated_weeks_of_bad_cards_keep_every_limit(ward: Ward, tmp_path: Path, number: int) -> None:
    print(f"replay with DCCN_DOCTOR_SEED={SEED}, number {number}")
    check_limits(a_random_card(ward, tmp_path / "h.json", 7, SEED + number))


def test_no_error_of_a_repair_ends_the_round(ward: Ward, tmp_path: Path) -> None:
    def break_(verb: str, _arguments: dict[str, Any]) -> None:
        raise DccnError("unreachable", f"{verb}: the helper went away")

    story = BadCard(ward, tmp_path / "h.json", 600, {}, random.Random(1))
    story._feel = break_  # type: ignore[method-assign]
    story.live(6 * HOUR_S)
    (problem,) = memory.load(tmp_path / "h.json").open
    assert {each.outcome for each in problem.attempts} == {"failed"}
