"""The fixed list: one file, one verb."""

from __future__ import annotations

from typing import Final

from appliance.helper.verb import Verb
from appliance.helper.verbs import (
    collect_logs,
    drain,
    factory_reset,
    gpu_clocks,
    gpu_quarantine,
    gpu_reset,
    look_for_update,
    pin_state,
    power_off,
    reboot,
    remove_images,
    restart_unit,
    restart_workload,
    resume,
    set_pin,
    vacuum_journal,
)

VERBS: Final[tuple[Verb, ...]] = (
    collect_logs.VERB,
    drain.VERB,
    factory_reset.VERB,
    gpu_clocks.VERB,
    gpu_quarantine.VERB,
    gpu_reset.VERB,
    look_for_update.VERB,
    pin_state.VERB,
    power_off.VERB,
    reboot.VERB,
    remove_images.VERB,
    restart_unit.VERB,
    restart_workload.VERB,
    resume.VERB,
    set_pin.VERB,
    vacuum_journal.VERB,
)
