"""gpu-reset: reset one NVIDIA GPU, by a unit of its own that has the privilege which the driver wants for it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Verb

GpuUuid = Annotated[str, msgspec.Meta(pattern=r"\AGPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
TIMEOUT_S: Final = 120.0


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    """`gpu` as NVML names it: GPU- and a UUID."""

    gpu: GpuUuid


def _do(arguments: Arguments, machine: Machine) -> dict[str, object]:
    machine.run("systemctl", "start", f"dccn-gpu-reset@{arguments.gpu}.service", timeout_s=TIMEOUT_S)
    return {}


VERB: Final = Verb("gpu-reset", Arguments, _do, per_hour=12, callers=frozenset({Caller.root, Caller.doctor}))
