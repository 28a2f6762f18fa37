"""drain: let the node take no new work, and move what runs on it elsewhere; before a reboot."""

from __future__ import annotations

from typing import Final

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Nothing, Verb

TIMEOUT_S: Final = 330.0
"""More than the unit's own limit, so that its answer is the one that comes."""


def _do(_arguments: Nothing, machine: Machine) -> dict[str, object]:
    machine.run("systemctl", "start", "dccn-drain.service", timeout_s=TIMEOUT_S)
    return {}


VERB: Final = Verb("drain", Nothing, _do, per_hour=6, callers=frozenset({Caller.root, Caller.agent, Caller.doctor}))
