"""Whether the agent gives signs of life, and whether its records find their way to the hub."""

from __future__ import annotations

from typing import Final

from appliance.agent.status import SIGN_OF_LIFE_MS
from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine

SILENT_MS: Final = 12 * SIGN_OF_LIFE_MS


def check(machine: Machine) -> list[Finding]:
    status = machine.status
    if status is None:
        return [unknown("no agent has run here")]
    findings = []
    age_ms = machine.now_ms() - (status.written_ms or 0) + (status.clock_offset_ms or 0)
    if status.is_running and status.enrolled and age_ms > SILENT_MS:
        findings.append(problem("agent_silent", f"the agent's last sign of life is {age_ms // 1000} s old"))
    elif not status.is_running:
        findings.append(unknown("the agent does not run", "agent_silent"))
    if status.spool_state == "full":
        findings.append(problem("spool_full", f"{status.spool_records} records wait, and there is no room for more"))
    elif status.spool_state == "rolled_back":
        findings.append(problem("spool_rolled_back", "the hub knows records that this disk does not"))
    elif not findings:
        findings.append(well(f"{status.spool_records or 0} records wait for the hub"))
    return findings
