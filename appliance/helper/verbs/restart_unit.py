"""restart-unit: start one of our own or of the workloads' services again."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Verb

Unit = Literal[
    "dccn-agent.service",
    "dccn-console.service",
    "dccn-doctor.service",
    "dccn-updates.service",
    "k3s.service",
    "containerd.service",
    "nvidia-persistenced.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
]


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    unit: Unit


def _do(arguments: Arguments, machine: Machine) -> dict[str, object]:
    machine.run("systemctl", "--no-block", "restart", arguments.unit)
    return {}


VERB: Final = Verb(
    "restart-unit", Arguments, _do, per_hour=30, callers=frozenset({Caller.root, Caller.agent, Caller.doctor})
)
