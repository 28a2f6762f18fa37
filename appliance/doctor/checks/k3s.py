"""Whether k3s runs, where it should, and whether its kubelet says that it is well."""

from __future__ import annotations

from typing import Final

from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine

UNITS: Final = ("k3s.service", "k3s-agent.service")
PROPERTIES: Final = "--property=LoadState,UnitFileState,ActiveState,SubState,NRestarts"
KUBELET: Final = ("127.0.0.1", 10248)
"""Where a kubelet answers for its health, on this machine alone."""
STARTING: Final = ("activating", "reloading", "deactivating")


def check(machine: Machine) -> list[Finding]:
    asked = [(unit, _properties(machine, unit)) for unit in UNITS]
    if all(not values for _unit, values in asked):
        return [unknown("there is no systemd to ask about k3s")]
    installed = [(unit, values) for unit, values in asked if values.get("LoadState") == "loaded"]
    wanted = [(unit, values) for unit, values in installed if _is_wanted(values)]
    if not wanted:
        return [well("k3s is not part of this machine's work")]
    return [_unit(machine, unit, values) for unit, values in wanted]


def _unit(machine: Machine, unit: str, values: dict[str, str]) -> Finding:
    state, restarts = values.get("ActiveState", "?"), values.get("NRestarts", "0")
    if state in STARTING and values.get("SubState") != "auto-restart":
        return unknown(f"{unit} is {state}", "k3s_down", unit)
    if state != "active":
        return problem("k3s_down", f"{unit} is {state} after {restarts} restarts", unit)
    if not machine.connects(KUBELET):
        return problem("k3s_down", f"{unit} runs, and its kubelet does not answer", unit)
    return well(f"{unit} runs, and its kubelet answers")


def _is_wanted(values: dict[str, str]) -> bool:
    return values.get("UnitFileState", "").startswith("enabled") or values.get("ActiveState") in ("active", "failed")


def _properties(machine: Machine, unit: str) -> dict[str, str]:
    answer = machine.ask(["systemctl", "show", unit, PROPERTIES])
    lines = answer.out.splitlines() if answer.code == 0 else []
    return {name: value for name, found, value in (line.partition("=") for line in lines) if found}
