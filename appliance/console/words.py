"""Facts as what a person reads: one sentence, what to do, and a few lines; the same on every face."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from appliance.console.facts import Facts, State
from appliance.doctor.sentences import ailments


def sentence(facts: Facts) -> str:
    """What the machine is doing now."""
    match facts.state:
        case State.starting:
            return "This machine is starting."
        case State.unconfigured:
            return "This machine does not know its hub yet."
        case State.claim:
            return "This machine waits for its owner."
        case State.joining:
            return "This machine looks for its hub."
        case State.offline:
            return "This machine works, and its hub does not answer at the moment."
        case State.working:
            return "This machine works and earns."
        case State.stopped:
            return "This machine cannot work at the moment, and tries again."


def advice(facts: Facts) -> str:
    """What its owner may do; empty for nothing."""
    match facts.state:
        case State.unconfigured:
            return "Write the hub's address into dccn.toml on its small partition DCCNCFG, and start it again."
        case State.claim:
            return f"Type this code on the fleet's page. Its hub is {facts.claim.get('hub_url')}."
        case State.joining | State.stopped:
            return str(facts.status.get("problem") or "")
        case State.offline:
            return "Nothing is lost: records wait on its disk until the hub is back."
        case _:
            return ""


def lines(facts: Facts) -> Iterator[tuple[str, str]]:
    """Name and value; what is not known is left out."""
    status = facts.status
    wanted: tuple[tuple[str, object], ...] = (
        ("name", f"{facts.hostname}.local"),
        ("address", ", ".join(facts.addresses) or "none"),
        ("device", status.get("device")),
        ("fleet", status.get("fleet")),
        ("balance", _ankr(status.get("balance"))),
        ("rewards", _ankr(status.get("rewards_total"))),
        ("accepted records", status.get("accepted_seq")),
        ("waiting records", status.get("spool_records")),
        ("verified height", status.get("verified_height")),
        ("image", facts.version),
        ("slot", status.get("slot")),
        ("given up", _given_up(status.get("given_up"))),
        ("degraded", _reasons(status)),
        ("ails", "; and ".join(ailments(status)) or None),
    )
    yield from ((name, str(value)) for name, value in wanted if value is not None)
    yield from (("settings", each) for each in facts.problems)


def _given_up(found: object) -> str | None:
    """An update that did not hold, and why."""
    return f"version {found.get('version')}: {found.get('reason')}" if isinstance(found, dict) else None


def _reasons(status: Mapping[str, Any]) -> str | None:
    """What is missing in the system that runs."""
    reasons = status.get("boot_reasons")
    if status.get("boot") != "unhealthy" or not isinstance(reasons, list):
        return None
    return "; ".join(str(each) for each in reasons)


def _ankr(amount: object) -> str | None:
    return None if amount is None else f"{amount} ANKR"
