"""Whether the container runtime that k3s brings takes connections."""

from __future__ import annotations

from typing import Final

from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine

SOCKET: Final = "run/k3s/containerd/containerd.sock"


def check(machine: Machine) -> list[Finding]:
    path = machine.root / SOCKET
    try:
        if not path.exists():
            return [well("no container runtime was started")]
        answers = machine.connects(path)
    except PermissionError:
        return [unknown(f"/{SOCKET} may be asked by root alone")]
    if answers:
        return [well("the container runtime takes connections")]
    return [problem("containerd_silent", f"nobody answers at /{SOCKET}")]
