"""pin-state: whether there is an owner's PIN yet."""

from __future__ import annotations

from typing import Final

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Nothing, Verb


def _do(_arguments: Nothing, machine: Machine) -> dict[str, object]:
    return {"is_set": machine.pin.is_set()}


VERB: Final = Verb("pin-state", Nothing, _do, per_hour=3600, callers=frozenset({Caller.root, Caller.console}))
