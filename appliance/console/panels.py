"""What each panel of the console says: pure text from the facts, harmless whatever the facts hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from appliance.console import words
from appliance.console.facts import Facts, State
from appliance.console.machine import Machine
from appliance.console.plain import plain
from appliance.console.screen import qr_lines
from appliance.doctor.sentences import ailments

NAME_COLUMNS: Final = 20
SYSTEM_ROWS: Final = ("slot", "given up", "degraded", "ails", "settings")
"""What every face says of the system and its settings, where there is anything to say."""
GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Look:
    """All that there is to show at one moment."""

    facts: Facts
    machine: Machine


def headline(look: Look) -> str:
    """What the machine does now, and what its owner may do about it: one or two lines."""
    return "\n".join(plain(line) for line in (words.sentence(look.facts), words.advice(look.facts)) if line)


def health(look: Look) -> str:
    machine, status = look.machine, look.facts.status
    warm = machine.hottest_c
    return _rows(
        ("hub", _hub(look.facts)),
        ("problem", status.get("problem")),
        *(("ails", each) for each in ailments(status)),
        ("clock", _clock(status.get("clock_offset_ms"))),
        ("records", _spool(look.facts)),
        ("load", f"{machine.load:.1f} on {machine.cores} cores"),
        ("memory", f"{_gib(machine.memory_free_bytes)} free of {_gib(machine.memory_bytes)}"),
        ("data disk", _data(machine)),
        ("temperature", None if warm is None else f"{warm:.0f} °C at the hottest place"),
        ("running for", _duration(machine.uptime_s)),
        ("identity", None if "evidence_level" not in status else f"evidence level {status['evidence_level']}"),
        ("image", look.facts.version),
        ("update", _update(status.get("update"))),
        *(row for row in words.lines(look.facts) if row[0] in SYSTEM_ROWS),
    )


def earnings(look: Look) -> str:
    status = look.facts.status
    return (
        _rows(
            ("balance", _ankr(status.get("balance"))),
            ("earned in all", _ankr(status.get("rewards_total"))),
            ("paid to", status.get("owner")),
            ("accepted records", status.get("accepted_seq")),
            ("waiting records", status.get("spool_records")),
            ("last proof at block", status.get("pog_height")),
            ("verified to block", status.get("verified_height")),
            ("own check", status.get("light_client")),
            ("chain", status.get("chain_id")),
        )
        or "Nothing yet: this machine was not admitted to a fleet."
    )


def claim(look: Look) -> str:
    facts = look.facts
    if facts.code is None or facts.state is not State.claim:
        device = facts.status.get("device")
        fleet = facts.status.get("fleet")
        if not facts.status.get("enrolled"):
            return "There is no code at the moment."
        return "This machine has an owner.\n\n" + _rows(("fleet", fleet), ("device", device))
    return "\n".join(["  ".join(plain(facts.code)), *qr_lines(facts.code)])


def network(look: Look) -> str:
    machine = look.machine
    rows = [("name", f"{look.facts.hostname}.local")]
    for link in machine.links:
        speed = f", {link.speed_mbps} Mbit/s" if link.speed_mbps and link.is_up else ""
        rows.append((link.name, ("connected" if link.is_up else "no link") + speed))
        how = "set in dccn.toml" if link.fixed else "by DHCP"
        rows += [("", f"{address} {how}") for address in link.addresses]
    rows += [("gateway", machine.gateway or "none"), ("name servers", ", ".join(machine.dns) or "none")]
    return _rows(*rows) + "\n\nA fixed address, Wi-Fi or a proxy stand in dccn.toml on the partition DCCNCFG."


def logs(lines: Sequence[str]) -> str:
    return "\n".join(plain(line) for line in lines) or "There are none yet."


PANELS: Final[tuple[tuple[str, Callable[[Look], str]], ...]] = (
    ("Health", health),
    ("Earnings", earnings),
    ("Claim", claim),
    ("Network", network),
)


def _rows(*rows: tuple[str, object]) -> str:
    return "\n".join(_known(rows))


def _known(rows: tuple[tuple[str, object], ...]) -> Iterator[str]:
    """What is unknown is left out."""
    for name, value in rows:
        if value is not None:
            yield f"{name:<{NAME_COLUMNS}}{plain(str(value))}"


def _hub(facts: Facts) -> str:
    if not facts.status.get("hub_url"):
        return "none is set"
    if facts.state is State.claim:
        return f"{facts.status['hub_url']} gave this machine a code"
    return f"{facts.status['hub_url']} {'answers' if facts.status.get('connected') else 'does not answer'}"


def _spool(facts: Facts) -> str | None:
    waiting, state = facts.status.get("spool_records"), facts.status.get("spool_state")
    if waiting is None:
        return None
    return f"{waiting} wait to be sent" + ("" if state in (None, "ok") else f", their store is {state}")


def _update(found: object) -> str | None:
    """What the updater is at, as it says it itself."""
    if not isinstance(found, dict) or not found.get("state"):
        return None
    reason = found.get("reason")
    return f"{found['state']}: {reason}" if reason else str(found["state"])


def _clock(offset_ms: object) -> str | None:
    return f"{offset_ms / 1000:+.1f} s against the hub's" if isinstance(offset_ms, int | float) else None


def _data(machine: Machine) -> str | None:
    if machine.data_bytes is None or machine.data_free_bytes is None:
        return None
    return f"{_gib(machine.data_free_bytes)} free of {_gib(machine.data_bytes)}"


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB"


def _ankr(amount: object) -> str | None:
    return None if amount is None else f"{amount} ANKR"


def _duration(seconds: int) -> str:
    minutes = max(0, seconds) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h {minutes % 60} min" if days else f"{hours} h {minutes % 60} min"
