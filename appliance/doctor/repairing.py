"""All repairs by name, and the one way in which they are made."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from appliance.doctor.repair import Hands, Repair
from appliance.doctor.repairs import (
    quarantine_gpu,
    reboot,
    remove_images,
    reset_clocks,
    reset_gpu,
    restart_agent,
    restart_k3s,
    restart_resolver,
    restart_workload,
    set_clock,
    vacuum_journal,
)
from chain.errors import DccnError

_MODULES: Final[tuple[ModuleType, ...]] = (
    restart_workload,
    reset_clocks,
    reset_gpu,
    quarantine_gpu,
    reboot,
    restart_k3s,
    vacuum_journal,
    remove_images,
    set_clock,
    restart_resolver,
    restart_agent,
)
REPAIRS: Final[dict[str, Repair]] = {module.REPAIR.name: module.REPAIR for module in _MODULES}
_BY_NAME: Final[dict[str, ModuleType]] = {module.REPAIR.name: module for module in _MODULES}


def make(repair: str, subject: str, hands: Hands) -> tuple[str, str]:
    """(outcome, sentence): `done`, or `failed` when the helper refuses or breaks."""
    try:
        return "done", str(_BY_NAME[repair].repair(subject, hands))
    except DccnError as error:
        return "failed", error.message
