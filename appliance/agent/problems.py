"""What the machine's doctor found, taken up to the hub: as events, in the inventory, and in the agent's own status."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.agent.clock import Clock
from appliance.agent.events import Emit
from appliance.doctor.pci import pci_address
from appliance.doctor.report import FOLDER, Report, load
from chain.errors import DccnError
from fleet.protocol.messages import Problem, Reported

LOOK_EVERY_S = 5.0


class Problems:
    """Component: follows the doctor's report. Without a doctor on this machine there are no problems to tell.

    `send_reported` publishes the inventory anew; it is called when what the hub should know has changed.
    """

    name = "problems"

    def __init__(
        self,
        clock: Clock,
        emit: Emit,
        send_reported: Callable[[], object],
        folder: Path = FOLDER,
        interval_s: float = LOOK_EVERY_S,
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._send_reported = send_reported
        self._folder = folder
        self._interval_s = interval_s
        self._report = Report(at_ms=0)

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval_s):
            self.look()

    def look(self) -> None:
        """Read the report, and tell what began, what was tried, and what is over."""
        before, now = self._report, self._read()
        self._report = now
        known = {each.id: each for each in before.problems}
        for problem in now.problems:
            self._tell(problem, known.pop(problem.id, None))
        for gone in known.values():
            self._emit("problem_over", kind=gone.kind, subject=gone.subject)
        if (before.problems, before.quarantined) != (now.problems, now.quarantined):
            self._send_reported()

    def mark(self, reported: Reported) -> Reported:
        """The inventory with its problems, and with the cards that take no work marked."""
        resting = set(self._report.quarantined)
        gpus = [
            msgspec.structs.replace(gpu, quarantined=gpu.pci is not None and pci_address(gpu.pci) in resting)
            for gpu in reported.gpus
        ]
        return msgspec.structs.replace(reported, gpus=gpus, problems=self._report.problems)

    def status(self) -> dict[str, object]:
        """Fields of the agent's status; the log lines stay with the doctor's own report."""
        problems = [msgspec.structs.replace(each, logs=[]) for each in self._report.problems]
        return {"problems": problems, "quarantined": self._report.quarantined}

    def _read(self) -> Report:
        try:
            found = load(self._folder, self._clock.now_ms())
        except DccnError:
            found = None
        return found or Report(at_ms=0)

    def _tell(self, problem: Problem, before: Problem | None) -> None:
        if before is None:
            kind, said, suggestion = problem.kind, problem.said, problem.suggestion
            if problem.severity == "crit":
                self._emit("problem_grave", kind=kind, said=said, suggestion=suggestion)
            else:
                self._emit("problem_found", kind=kind, said=said, suggestion=suggestion)
        for attempt in problem.attempts[len(before.attempts) if before is not None else 0 :]:
            self._emit("repair_tried", kind=problem.kind, repair=attempt.repair, outcome=attempt.outcome)
