"""restart-workload: end every workload of this machine, so that what holds a card lets go; all of it starts again."""

from __future__ import annotations

from typing import Final

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Nothing, Verb

TIMEOUT_S: Final = 120.0


def _do(_arguments: Nothing, machine: Machine) -> dict[str, object]:
    machine.run("systemctl", "start", "dccn-restart-workload.service", timeout_s=TIMEOUT_S)
    return {}


VERB: Final = Verb("restart-workload", Nothing, _do, per_hour=6, callers=frozenset({Caller.root, Caller.doctor}))
