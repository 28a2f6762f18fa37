"""Which repair comes next: pure, and the same for the same history. Every limit that the doctor keeps is kept here.

A ladder is climbed one step at a time, with pauses that double, and a problem that comes back within a day goes on
where its ladder stood. One repair at a time is made on a machine, for the gravest problem that has one due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from appliance.doctor.history import DAY_S, HOUR_S, History, Problem
from appliance.doctor.problems import KINDS, SEVERITIES, Kind
from appliance.doctor.repair import Repair

CONFIRMED_ROUNDS: Final = 2
"""How often in a row a problem must be seen before anything is done about it."""
PAUSE_FIRST_S: Final = 120
PAUSE_CAP_S: Final = 6 * HOUR_S


class Reason(StrEnum):
    """Why nothing is done about a problem, or that something is."""

    due = "due"
    unconfirmed = "seen once only"
    pausing = "the last repair gets its time"
    limited = "tried as often as it may be for now"
    no_repair = "only a person can help"
    exhausted = "every repair was tried"


@dataclass(frozen=True, slots=True)
class Step:
    """`repair` is the next one of the problem's ladder, None where there is none; it is made when `reason` is due."""

    problem: Problem
    repair: str | None
    reason: Reason


def next_step(history: History, repairs: Mapping[str, Repair], kinds: Mapping[str, Kind] = KINDS) -> Step | None:
    """The one step to make now, of the gravest problem, and of the oldest of these; None when none is due."""
    due = [each for each in steps(history, repairs, kinds) if each.reason is Reason.due]
    return due[0] if due else None


def steps(history: History, repairs: Mapping[str, Repair], kinds: Mapping[str, Kind] = KINDS) -> list[Step]:
    """Where each open problem stands, the gravest first."""

    def gravity(problem: Problem) -> tuple[int, int, str]:
        return -SEVERITIES.index(kinds[problem.kind].severity), problem.since_ms, problem.id

    return [_step(each, history, repairs, kinds[each.kind]) for each in sorted(history.open, key=gravity)]


def pause_s(attempts: int) -> int:
    """How long to wait after that many attempts: doubling, up to six hours."""
    return min(PAUSE_FIRST_S << min(max(attempts - 1, 0), 16), PAUSE_CAP_S)


def _step(problem: Problem, history: History, repairs: Mapping[str, Repair], kind: Kind) -> Step:
    rungs = [name for name in kind.ladder if not (kind.spares_work and repairs[name].interrupts)]
    if not rungs:
        return Step(problem, None, Reason.no_repair)
    rung = _rung(problem, rungs, repairs)
    if rung is None:
        return Step(problem, None, Reason.exhausted)
    if problem.rounds < CONFIRMED_ROUNDS:
        return Step(problem, rung, Reason.unconfirmed)
    if problem.attempts and history.awake_s - problem.attempts[-1].at_s < pause_s(len(problem.attempts)):
        return Step(problem, rung, Reason.pausing)
    if not _allowed(repairs[rung], problem.subject, history):
        return Step(problem, rung, Reason.limited)
    return Step(problem, rung, Reason.due)


def _rung(problem: Problem, rungs: list[str], repairs: Mapping[str, Repair]) -> str | None:
    """The rung above the highest that was tried; the highest again where it may be repeated; None past the end."""
    tried = [rungs.index(each.repair) for each in problem.attempts if each.repair in rungs]
    above = max(tried) + 1 if tried else 0
    if above < len(rungs):
        return rungs[above]
    return rungs[-1] if repairs[rungs[-1]].repeatable else None


def _allowed(repair: Repair, subject: str, history: History) -> bool:
    ages_s = [
        history.awake_s - each.at_s
        for each in history.attempts
        if each.repair == repair.name and (each.subject == subject or not repair.per_subject)
    ]
    in_an_hour = sum(age_s < HOUR_S for age_s in ages_s)
    in_a_day = sum(age_s < DAY_S for age_s in ages_s)
    return in_an_hour < repair.per_hour and in_a_day < repair.per_day
