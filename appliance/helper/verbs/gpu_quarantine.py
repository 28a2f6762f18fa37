"""gpu-quarantine: let the driver give one NVIDIA GPU to nobody, or to everybody again; it forgets it at a reboot."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Verb


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    """`card` is the PCI address, since a card that is lost has no other name; `on` is false to let it go."""

    card: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\Z")]
    on: bool


def _do(arguments: Arguments, machine: Machine) -> dict[str, object]:
    unit = "dccn-gpu-quarantine" if arguments.on else "dccn-gpu-release"
    machine.run("systemctl", "start", f"{unit}@{arguments.card}.service")
    return {}


VERB: Final = Verb("gpu-quarantine", Arguments, _do, per_hour=30, callers=frozenset({Caller.root, Caller.doctor}))
