"""One round of the doctor: look, remember, make at most one repair, tell. What it decides is on disk before it acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from appliance.doctor import history as memory
from appliance.doctor.examine import examine
from appliance.doctor.history import History
from appliance.doctor.ladder import next_step
from appliance.doctor.logs import last_lines
from appliance.doctor.machine import Machine
from appliance.doctor.repair import Hands
from appliance.doctor.repairing import REPAIRS, make
from appliance.doctor.repairs import quarantine_gpu
from appliance.doctor.report import Report
from appliance.doctor.telling import report
from chain.errors import DccnError

QUIET_S = 600
"""Flash wears out: a round in which nothing happened is written only now and then. Time that was not written is time
that limits count longer, never shorter."""

HandsFor = Callable[[Mapping[str, str]], Hands]
"""Gives the hands that repairs work with, from the cards' UUIDs by their PCI addresses."""


@dataclass(frozen=True, slots=True)
class Doctor:
    """`file` keeps the history over restarts and reboots; without `hands` it looks and tells, and repairs nothing."""

    machine: Machine
    file: Path
    hands: HandsFor | None = None

    def round(self, boot: str, boot_s: int) -> Report:
        """One look and at most one repair. Raises Faulty when the history cannot be kept: then nothing was repaired."""
        stored = memory.load(self.file)
        is_new_boot = stored.boot != boot
        history = memory.wake(stored, boot, boot_s)
        machine = _with_memory(self.machine, history)
        found = list(examine(machine))
        history = memory.see_cards(history, _answering(machine))
        history = memory.observe(history, found, machine.now_ms())
        history = self._with_logs(stored, history)
        if self.hands is not None:
            hands = self.hands({address: card.uuid for address, card in history.cards.items()})
            _keep_quarantine(stored, history, hands, is_new_boot)
            history = self._repair(history, hands)
        if _differs(stored, history) or history.awake_s - stored.awake_s >= QUIET_S or is_new_boot:
            memory.save(self.file, history)
        return report(history, REPAIRS, machine.now_ms())

    def _repair(self, history: History, hands: Hands) -> History:
        step = next_step(history, REPAIRS)
        if step is None or step.repair is None:
            return history
        problem = step.problem
        history = memory.begin(history, problem.id, step.repair, self.machine.now_ms())
        if step.repair == quarantine_gpu.REPAIR.name:
            history = memory.quarantine(history, problem.subject)
        memory.save(self.file, history)
        outcome, said = make(step.repair, problem.subject, hands)
        history = memory.end(history, problem.id, outcome, said)
        return memory.attach_logs(history, problem.id, last_lines(problem, self.machine.ask))

    def _with_logs(self, before: History, history: History) -> History:
        """Log lines for each problem that is new or came back."""
        known = {each.id: each for each in before.problems}
        for problem in history.open:
            earlier = known.get(problem.id)
            if earlier is None or not earlier.is_open:
                history = memory.attach_logs(history, problem.id, last_lines(problem, self.machine.ask))
        return history


def _keep_quarantine(before: History, history: History, hands: Hands, is_new_boot: bool) -> None:
    """The driver forgets at a boot which cards take no work; and a card that was well for a day takes some again."""
    kept = sorted(history.quarantined) if is_new_boot else []
    for card, is_on in [*((each, True) for each in kept), *((each, False) for each in before.quarantined)]:
        if is_on or card not in history.quarantined:
            with suppress(DccnError):
                hands.do("gpu-quarantine", card=card, on=is_on)


def _with_memory(machine: Machine, history: History) -> Machine:
    repaired: dict[str, int] = {}
    for attempt in history.attempts:
        repaired[attempt.subject] = max(attempt.at_ms, repaired.get(attempt.subject, 0))
    return replace(
        machine,
        boot=history.boot,
        cards={address: card.boot for address, card in history.cards.items()},
        repaired_ms=repaired,
    )


def _answering(machine: Machine) -> dict[str, str]:
    found = {}
    for address, nvml, handle in machine.nvml_cards():
        with suppress(nvml.NVMLError):
            uuid = nvml.nvmlDeviceGetUUID(handle)
            found[address] = uuid.decode() if isinstance(uuid, bytes) else str(uuid)
    return found


def _differs(before: History, after: History) -> bool:
    """Whether anything but time and rounds moved on."""

    def steady(history: History) -> History:
        problems = tuple(
            msgspec.structs.replace(each, rounds=min(each.rounds, 2), said="") for each in history.problems
        )
        cards = {name: msgspec.structs.replace(card, seen_s=0) for name, card in history.cards.items()}
        quarantined = dict.fromkeys(history.quarantined, 0)
        return msgspec.structs.replace(
            history, awake_s=0, boot_s=0, problems=problems, cards=cards, quarantined=quarantined
        )

    return steady(before) != steady(after)
