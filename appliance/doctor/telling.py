"""What there is to tell: the open problems with what was tried and what comes next, as hub and faces show them."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.doctor.history import History
from appliance.doctor.ladder import Reason, Step, steps
from appliance.doctor.problems import KINDS
from appliance.doctor.repair import Repair
from appliance.doctor.report import Report
from fleet.protocol.messages import Problem, RepairAttempt


def report(history: History, repairs: Mapping[str, Repair], now_ms: int) -> Report:
    """The open problems, the gravest first."""
    problems = [_told(step) for step in steps(history, repairs)]
    return Report(at_ms=now_ms, problems=problems, quarantined=sorted(history.quarantined))


def _told(step: Step) -> Problem:
    problem, kind = step.problem, KINDS[step.problem.kind]
    return Problem(
        id=problem.id,
        kind=problem.kind,
        subject=problem.subject,
        severity=kind.severity,
        since_ms=problem.since_ms,
        said=problem.said,
        suggestion=kind.advice,
        attempts=[
            RepairAttempt(repair=each.repair, at_ms=each.at_ms, outcome=each.outcome, said=each.said)
            for each in problem.attempts
        ],
        next_repair=step.repair,
        needs_person=step.reason in (Reason.no_repair, Reason.exhausted),
        logs=list(problem.logs),
    )
