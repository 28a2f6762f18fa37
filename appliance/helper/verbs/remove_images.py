"""remove-images: remove the container images that no container uses, to make room."""

from __future__ import annotations

from typing import Final

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Nothing, Verb

TIMEOUT_S: Final = 120.0


def _do(_arguments: Nothing, machine: Machine) -> dict[str, object]:
    machine.run("systemctl", "start", "dccn-remove-images.service", timeout_s=TIMEOUT_S)
    return {}


VERB: Final = Verb("remove-images", Nothing, _do, per_hour=6, callers=frozenset({Caller.root, Caller.doctor}))
