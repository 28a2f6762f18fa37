"""set-pin: the owner's first PIN at the console."""

from __future__ import annotations

from typing import Final

import msgspec

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Verb


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    """`pin`: 4 to 12 digits."""

    pin: str


def _do(arguments: Arguments, machine: Machine) -> dict[str, object]:
    machine.pin.set(arguments.pin)
    return {}


VERB: Final = Verb("set-pin", Arguments, _do, per_hour=10, callers=frozenset({Caller.root, Caller.console}))
