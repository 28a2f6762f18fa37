"""reboot: stop everything in order and start again."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from appliance.helper.machine import Machine
from appliance.helper.verb import Verb


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    """`reason` is for the log: why the machine was started again."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


def _do(_arguments: Arguments, machine: Machine) -> dict[str, object]:
    machine.run("systemctl", "--no-block", "reboot")
    return {}


VERB: Final = Verb("reboot", Arguments, _do, per_hour=4, asks_pin=True)
