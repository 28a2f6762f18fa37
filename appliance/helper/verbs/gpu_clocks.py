"""gpu-clocks: give one NVIDIA GPU its own clocks back, whatever was set on it."""

from __future__ import annotations

from typing import Final

import msgspec

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Verb
from appliance.helper.verbs.gpu_reset import GpuUuid


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    """`gpu` as NVML names it: GPU- and a UUID."""

    gpu: GpuUuid


def _do(arguments: Arguments, machine: Machine) -> dict[str, object]:
    machine.run("systemctl", "start", f"dccn-gpu-clocks@{arguments.gpu}.service")
    return {}


VERB: Final = Verb("gpu-clocks", Arguments, _do, per_hour=30, callers=frozenset({Caller.root, Caller.doctor}))
