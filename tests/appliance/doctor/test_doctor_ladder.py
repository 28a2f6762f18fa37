"""Laws of the ladder, under any sequence of findings: what it must never do, whatever ails the machine."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.doctor import history as memory
from appliance.doctor.findings import Finding, problem, unknown
from appliance.doctor.history import DAY_S, HOUR_S, RELAPSE_S, Attempt, History
from appliance.doctor.ladder import (
    CONFIRMED_ROUNDS,
    PAUSE_CAP_S,
    Reason,
    next_step,
    pause_s,
    steps,
)
from appliance.doctor.problems import KINDS, Kind
from appliance.doctor.repairing import REPAIRS

START_MS = 1_800_000_000_000
SUBJECTS = ("0000:01:00.0", "0000:02:00.0", "")
ILLS = [(kind, subject) for kind in KINDS for subject in SUBJECTS]
NETWORK = {name for name, kind in KINDS.items() if kind.check == "network"}


@dataclass
class Course:
    """A machine's illness over time: findings in, repairs out; every repair that was begun is kept."""

    history: History = field(default_factory=History)
    boot_s: int = 0
    boot: int = 0
    begun: list[tuple[str, str, Attempt]] = field(default_factory=list)

    def round(self, ills: set[tuple[str, str]], pass_s: int, hidden: frozenset[str] = frozenset()) -> str | None:
        """One look after `pass_s` seconds; returns the repair that was begun."""
        self.boot_s += pass_s
        self.history = memory.wake(self.history, str(self.boot), self.boot_s)
        findings = [(KINDS[kind].check, problem(kind, f"{kind} {subject}", subject)) for kind, subject in sorted(ills)]
        findings += [(check, unknown("it cannot be looked at")) for check in sorted(hidden)]
        looked = {check for check, _finding in findings}
        others = {kind.check for kind in KINDS.values()} - looked
        findings += [(check, Finding(memory.Verdict.well, "well")) for check in sorted(others)]
        self.history = memory.observe(self.history, findings, START_MS + self.history.awake_s * 1000)
        step = next_step(self.history, REPAIRS)
        if step is None or step.repair is None:
            return None
        self.history = memory.begin(self.history, step.problem.id, step.repair, START_MS)
        self.history = memory.end(self.history, step.problem.id, "done", "")
        self.begun.append((step.problem.id, step.problem.kind, self.history.attempts[-1]))
        return step.repair

    def restart(self) -> None:
        """The machine is started anew: its clock of this boot begins at zero."""
        self.boot, self.boot_s = self.boot + 1, 0


rounds = st.lists(
    st.tuples(
        st.sets(st.sampled_from(ILLS), max_size=5),
        st.sampled_from([1, 60, 60, 300, 1_800, 2_400, HOUR_S, 7 * HOUR_S]),
        st.booleans(),
    ),
    max_size=120,
)


def live(course: Course, story: list[tuple[set[tuple[str, str]], int, bool]]) -> None:
    for ills, pass_s, is_restarted in story:
        if is_restarted and len(ills) == 0:
            course.restart()
        if course.round(ills, pass_s) == "reboot":
            course.restart()


@given(rounds)
def test_no_repair_is_ever_tried_more_often_than_its_limits_allow(
    story: list[tuple[set[tuple[str, str]], int, bool]],
) -> None:
    course = Course()
    live(course, story)
    for name, repair in REPAIRS.items():
        for subject in SUBJECTS if repair.per_subject else (None,):
            times = [each.at_s for _id, _kind, each in course.begun
                     if each.repair == name and subject in (None, each.subject)]  # fmt: skip
            for span_s, most in ((HOUR_S, repair.per_hour), (DAY_S, repair.per_day)):
                assert all(sum(at <= other < at + span_s for other in times) <= most for at in times)


@given(rounds)
def test_a_lost_network_never_interrupts_work(story: list[tuple[set[tuple[str, str]], int, bool]]) -> None:
    course = Course()
    live(course, [({ill for ill in ills if ill[0] in NETWORK}, *rest) for ills, *rest in story])  # type: ignore[misc]
    assert all(kind in NETWORK and not REPAIRS[each.repair].interrupts for _id, kind, each in course.begun)
    assert "reboot" not in {each.repair for _id, _kind, each in course.begun}


@given(rounds)
def test_every_ladder_is_climbed_in_its_order(story: list[tuple[set[tuple[str, str]], int, bool]]) -> None:
    course = Course()
    live(course, story)
    for identifier in {each[0] for each in course.begun}:
        kind = next(kind for one, kind, _attempt in course.begun if one == identifier)
        climbed = [attempt.repair for one, _kind, attempt in course.begun if one == identifier]
        ladder = list(KINDS[kind].ladder)
        assert climbed[: len(ladder)] == ladder[: len(climbed)]
        assert set(climbed[len(ladder) :]) <= ({ladder[-1]} if REPAIRS[ladder[-1]].repeatable else set())


@given(rounds)
def test_pauses_between_repairs_of_one_problem_grow(story: list[tuple[set[tuple[str, str]], int, bool]]) -> None:
    course = Course()
    live(course, story)
    for identifier in {each[0] for each in course.begun}:
        times = [attempt.at_s for one, _kind, attempt in course.begun if one == identifier]
        waits = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert all(wait >= pause_s(number) for number, wait in enumerate(waits, 1))


@given(rounds, st.data())
@settings(max_examples=50)
def test_the_same_history_leads_to_the_same_step_and_survives_its_file(
    story: list[tuple[set[tuple[str, str]], int, bool]], data: st.DataObject
) -> None:
    straight, restarted = Course(), Course()
    stops = data.draw(st.sets(st.integers(0, 120), max_size=6))
    for number, (ills, pass_s, _restart) in enumerate(story):
        assert straight.round(ills, pass_s) == restarted.round(ills, pass_s)
        if number in stops:
            stored = msgspec.json.encode(restarted.history)
            restarted.history = msgspec.json.decode(stored, type=History)
    assert straight.history == restarted.history


@given(st.dictionaries(st.sampled_from(sorted(KINDS)), st.lists(st.sampled_from(sorted(REPAIRS)), max_size=6)), rounds)
def test_no_registry_however_written_lets_a_lost_network_interrupt_work(
    ladders: dict[str, list[str]], story: list[tuple[set[tuple[str, str]], int, bool]]
) -> None:
    kinds: dict[str, Kind] = {name: replace(kind, ladder=tuple(ladders.get(name, ()))) for name, kind in KINDS.items()}
    course = Course()
    for ills, pass_s, _restart in story:
        course.round(ills, pass_s)
        for step in steps(course.history, REPAIRS, kinds):
            if kinds[step.problem.kind].spares_work and step.repair is not None:
                assert not REPAIRS[step.repair].interrupts


def test_network_and_clock_spare_work_by_their_registration() -> None:
    assert all(kind.spares_work for kind in KINDS.values() if kind.check in ("network", "clock"))


def test_one_sight_of_a_problem_does_nothing_yet() -> None:
    course = Course()
    assert [course.round({("k3s_down", "k3s.service")}, 60) for _ in range(CONFIRMED_ROUNDS)] == [None, "restart-k3s"]


def test_a_problem_that_comes_and_goes_within_a_round_is_never_treated() -> None:
    course = Course()
    for _ in range(200):
        assert course.round({("gpu_lost", SUBJECTS[0])}, 60) is None
        assert course.round(set(), 60) is None


def test_the_gravest_and_then_the_oldest_problem_comes_first() -> None:
    course = Course()
    course.round({("gpu_hot", "")}, 60)
    course.round({("gpu_hot", ""), ("disk_full", "/a")}, 1)
    order = [(step.problem.kind, step.reason) for step in steps(course.history, REPAIRS)]
    assert order == [("disk_full", Reason.unconfirmed), ("gpu_hot", Reason.pausing)]


def test_a_card_that_is_lost_for_good_goes_up_the_whole_ladder_once() -> None:
    course = Course()
    climbed = [made for _ in range(24 * 60) if (made := course.round({("gpu_lost", SUBJECTS[0])}, 60)) is not None]
    assert tuple(climbed) == KINDS["gpu_lost"].ladder
    (step,) = steps(course.history, REPAIRS)
    assert step.reason is Reason.exhausted and step.repair is None


def test_a_problem_that_comes_back_within_a_day_goes_on_where_its_ladder_stood() -> None:
    course = Course()
    ill = {("gpu_lost", SUBJECTS[0])}
    for expected in KINDS["gpu_lost"].ladder:
        made = [course.round(ill, 60) for _ in range(2)]
        assert made == [None, expected]
        for _ in range(40):
            assert course.round(set(), 60) is None


def test_a_problem_that_stayed_away_for_a_day_begins_at_the_bottom() -> None:
    course = Course()
    ill = {("gpu_lost", SUBJECTS[0])}
    course.round(ill, 60)
    assert course.round(ill, 60) == "restart-workload"
    course.round(set(), 60)
    course.round(set(), RELAPSE_S)
    course.round(ill, 60)
    assert course.round(ill, 60) == "restart-workload"


def test_what_cannot_be_looked_at_heals_nothing() -> None:
    course = Course()
    course.round({("disk_full", "/data")}, 60)
    course.round(set(), 60, hidden=frozenset({"disk_full"}))
    assert [each.is_open for each in course.history.problems] == [True]
    course.round(set(), 60)
    assert [each.is_open for each in course.history.problems] == [False]


def test_a_repair_that_may_be_repeated_is_repeated_with_growing_pauses_and_for_ever() -> None:
    course = Course()
    times = []
    for minute in range(14 * 24 * 60):
        if course.round({("clock_unsynchronised", "")}, 60) is not None:
            times.append(minute * 60)
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(wait >= pause_s(number) for number, wait in enumerate(waits, 1)) and waits[-1] == PAUSE_CAP_S
    assert len(course.history.problems[0].attempts) <= memory.MAX_ATTEMPTS
    assert times[-1] > 13 * DAY_S


def test_a_clock_that_jumps_lifts_no_limit() -> None:
    """Time is counted while the machine runs: setting the wall clock years on or back changes nothing."""
    course = Course()
    for number in range(5):
        course.round({("gpu_lost", SUBJECTS[0])}, 60 + number * 3_600)
    before = steps(course.history, REPAIRS)
    after = memory.observe(
        course.history,
        [("gpu_lost", problem("gpu_lost", "gpu_lost 0000:01:00.0", SUBJECTS[0]))],
        START_MS + 10**12,
    )
    assert [step.reason for step in steps(after, REPAIRS)] == [step.reason for step in before]


def test_time_is_counted_through_reboots_and_never_backwards() -> None:
    history = memory.wake(History(), "a", 100)
    history = memory.wake(history, "a", 90)
    assert history.awake_s == 100
    assert memory.wake(history, "b", 30).awake_s == 130


def test_a_history_that_cannot_be_read_is_put_aside_and_a_new_one_begins(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    for content in (b"", b"{", b"\xff\xfe", b"[" * 10_000, b'{"awake_s": "x"}'):
        path.write_bytes(content)
        assert memory.load(path) == History()
        assert path.with_suffix(".unreadable").read_bytes() == content
        assert not path.exists()


def test_the_history_stays_small_however_many_things_ail() -> None:
    course = Course()
    for number in range(500):
        course.round({("disk_failing", f"sd{number}")}, 60)
    assert len(course.history.problems) <= memory.MAX_PROBLEMS
    assert Counter(each.is_open for each in course.history.problems)[True] == 1
