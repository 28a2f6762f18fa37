"""resume: let the node take work again after a drain."""

from __future__ import annotations

from typing import Final

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Nothing, Verb


def _do(_arguments: Nothing, machine: Machine) -> dict[str, object]:
    machine.run("systemctl", "start", "dccn-resume.service")
    return {}


VERB: Final = Verb("resume", Nothing, _do, per_hour=12, callers=frozenset({Caller.root, Caller.agent, Caller.doctor}))
