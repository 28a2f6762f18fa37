"""power-off: stop everything in order and stay off, until somebody presses the button."""

from __future__ import annotations

from typing import Final

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Nothing, Verb

CALLERS: Final = frozenset({Caller.root, Caller.console, Caller.button})


def _do(_arguments: Nothing, machine: Machine) -> dict[str, object]:
    machine.run("systemctl", "--no-block", "poweroff")
    return {}


VERB: Final = Verb("power-off", Nothing, _do, per_hour=4, callers=CALLERS, asks_pin=True)
