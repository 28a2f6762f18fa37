"""What the doctor remembers: problems with what was tried against them, and how often anything was tried at all.

Its time is `awake_s`, the seconds that this machine has been running since the doctor first looked: it never jumps and
never goes back, so a wrong clock, or a reboot, can neither lift a limit nor hold one for ever.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from appliance.agent.files import write_json
from appliance.doctor.findings import Finding, Verdict
from appliance.doctor.problems import KINDS
from chain.files import read

HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
RELAPSE_S: Final = DAY_S
"""A problem that comes back within this time is the same one: the ladder goes on where it stood."""
FORGET_CARD_S: Final = 7 * DAY_S
MAX_PROBLEMS: Final = 64
MAX_ATTEMPTS: Final = 16
"""Of one problem: enough for the whole ladder, and for the pause between repeated repairs to have reached its end."""
MAX_LOG_LINES, MAX_LINE_CHARACTERS = 20, 240
MAX_HISTORY_BYTES: Final = 1 << 20


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One repair that was begun. `outcome` is begun (the machine went down with it), done or failed."""

    repair: str
    subject: str
    at_s: int
    at_ms: int
    outcome: str = "begun"
    said: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem from its first sight until a day after its last. `rounds`: how often in a row it was seen."""

    id: str
    kind: str
    subject: str
    since_ms: int
    said: str
    rounds: int = 1
    healed_s: int | None = None
    attempts: tuple[Attempt, ...] = ()
    logs: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.healed_s is None


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A graphics card that was seen: what NVML calls it, in which boot last, and when."""

    uuid: str
    boot: str
    seen_s: int


class History(msgspec.Struct, frozen=True, kw_only=True):
    """`attempts` are all of the last day, also of problems that are forgotten: limits count these.

    `boot` and `boot_s` say up to where in which boot `awake_s` has been counted. `quarantined` maps a card's PCI
    address to when it was last seen ill.
    """

    awake_s: int = 0
    boot: str = ""
    boot_s: int = 0
    problems: tuple[Problem, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    quarantined: dict[str, int] = {}
    cards: dict[str, Card] = {}

    @property
    def open(self) -> list[Problem]:
        return [each for each in self.problems if each.is_open]

    def problem(self, identifier: str) -> Problem:
        return next(each for each in self.problems if each.id == identifier)


def wake(history: History, boot: str, boot_s: int) -> History:
    """Count the time since the last look; `boot_s` are the seconds since this boot began."""
    since_s = boot_s - history.boot_s if boot == history.boot else boot_s
    changed = history.awake_s + max(0, since_s)
    return msgspec.structs.replace(history, awake_s=changed, boot=boot, boot_s=boot_s)


def observe(history: History, findings: Iterable[tuple[str, Finding]], now_ms: int) -> History:
    """Open, keep and heal problems by what the checks found in this round; forget what is long over."""
    found = list(findings)
    ill = {(one.kind, one.subject): one for _check, one in found if one.verdict is Verdict.problem and one.kind}
    problems = [_seen(each, ill.pop((each.kind, each.subject), None), found, history) for each in history.problems]
    for (kind, subject), finding in ill.items():
        identifier = sha256(f"{kind}|{subject}|{now_ms}".encode()).hexdigest()[:12]
        problems.append(Problem(id=identifier, kind=kind or "", subject=subject, since_ms=now_ms, said=finding.said))
    kept = [each for each in problems if each.healed_s is None or history.awake_s - each.healed_s < RELAPSE_S]
    kept.sort(key=lambda each: not each.is_open)  # where there are too many, those that are over go first
    ill_subjects = {each.subject for each in kept if each.is_open and KINDS[each.kind].ladder}
    quarantined = {
        card: history.awake_s if card in ill_subjects else since_s
        for card, since_s in history.quarantined.items()
        if card in ill_subjects or history.awake_s - since_s < DAY_S
    }
    return msgspec.structs.replace(
        history,
        problems=tuple(kept[:MAX_PROBLEMS]),
        attempts=tuple(each for each in history.attempts if history.awake_s - each.at_s < DAY_S),
        quarantined=quarantined,
    )


def see_cards(history: History, answering: Mapping[str, str]) -> History:
    """Remember the cards that answer now, UUID by PCI address; one that was not seen for a week is forgotten."""
    cards = {name: card for name, card in history.cards.items() if history.awake_s - card.seen_s < FORGET_CARD_S}
    for address, uuid in answering.items():
        cards[address] = Card(uuid=uuid, boot=history.boot, seen_s=history.awake_s)
    return msgspec.structs.replace(history, cards=cards)


def begin(history: History, identifier: str, repair: str, now_ms: int) -> History:
    """Note an attempt before it is made: whatever it does to this machine, it counts."""
    problem = history.problem(identifier)
    attempt = Attempt(repair=repair, subject=problem.subject, at_s=history.awake_s, at_ms=now_ms)
    changed = msgspec.structs.replace(problem, attempts=(*problem.attempts, attempt)[-MAX_ATTEMPTS:])
    return msgspec.structs.replace(_with(history, changed), attempts=(*history.attempts, attempt))


def end(history: History, identifier: str, outcome: str, said: str) -> History:
    """Say how the last attempt of a problem went; the machine's own count of attempts stays as it is."""
    problem = history.problem(identifier)
    last = msgspec.structs.replace(problem.attempts[-1], outcome=outcome, said=said[:MAX_LINE_CHARACTERS])
    return _with(history, msgspec.structs.replace(problem, attempts=(*problem.attempts[:-1], last)))


def quarantine(history: History, card: str) -> History:
    """Keep a card from all work until it has been well for a day."""
    return msgspec.structs.replace(history, quarantined={**history.quarantined, card: history.awake_s})


def attach_logs(history: History, identifier: str, lines: Iterable[str]) -> History:
    """The last lines that a log said of a problem, bounded."""
    last = [line[:MAX_LINE_CHARACTERS] for line in lines][-MAX_LOG_LINES:]
    return _with(history, msgspec.structs.replace(history.problem(identifier), logs=tuple(last)))


def load(path: Path) -> History:
    """The history in `path`, an empty one where there is none. A file that cannot be read is put aside, not lost.

    Raises Faulty `home_invalid`.
    """
    data = read(path, MAX_HISTORY_BYTES)
    if data is None:
        return History()
    try:
        found = msgspec.json.decode(data, type=History)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".unreadable"))
        return History()
    known = tuple(each for each in found.problems if each.kind in KINDS)
    return msgspec.structs.replace(found, problems=known)


def save(path: Path, history: History) -> None:
    """Durable when it returns. Raises Faulty `disk_full` or `home_invalid`."""
    write_json(path, msgspec.to_builtins(history))


def _seen(problem: Problem, now: Finding | None, found: list[tuple[str, Finding]], history: History) -> Problem:
    if now is not None:
        rounds = problem.rounds + 1 if problem.is_open else 1
        return msgspec.structs.replace(problem, said=now.said, rounds=rounds, healed_s=None)
    check = KINDS[problem.kind].check
    looked = any(name == check for name, _one in found)
    hidden = any(name == check and one.hides(problem.kind, problem.subject) for name, one in found)
    if not problem.is_open or hidden or not looked:
        return problem
    return msgspec.structs.replace(problem, healed_s=history.awake_s, rounds=0)


def _with(history: History, changed: Problem) -> History:
    problems = tuple(changed if each.id == changed.id else each for each in history.problems)
    return msgspec.structs.replace(history, problems=problems)
