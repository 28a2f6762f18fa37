"""What the hardware tests look through: this machine, what it has, and programs that load it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from appliance.acceptance.profile import Limits, Profile
from appliance.agent.gpus import NoGpus, NvmlGpus
from appliance.agent.inventory import Inventory
from appliance.doctor.checks.overheating import sensors
from appliance.doctor.machine import MAX_ANSWER_BYTES, Answer, Machine

EFI_VENDOR: Final = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""Of the UEFI variables that the specification itself names."""
SPARE_S: Final = 60.0
"""A program that was told to work for a time gets this much more to begin and to end."""


class Level(StrEnum):
    """How long the machine is loaded: for seconds, or as long as weak hardware takes to show."""

    quick = "quick"
    burnin = "burnin"


LOAD_S: Final[dict[Level, int]] = {Level.quick: 10, Level.burnin: 1_800}
MEMORY_PART: Final[dict[Level, float]] = {Level.quick: 0.1, Level.burnin: 0.8}
"""Of what is available, at each level."""


def run(argv: Sequence[str], timeout_s: float) -> Answer:
    """A program that works for a while, to its end; its code is None when there is no such program or no end."""
    try:
        done = subprocess.run(argv, capture_output=True, timeout=timeout_s + SPARE_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return Answer(None)
    return Answer(done.returncode, (done.stdout or done.stderr)[-MAX_ANSWER_BYTES:].decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One machine under test. `folder` is on the disk under test and may be written to, 256 MiB at most.

    `load_s`: how long each load lasts. `run` is as the function above; tests of the tests record it.
    """

    machine: Machine
    level: Level = Level.quick
    profile: Profile | None = None
    folder: Path = Path("/var/tmp")
    run: Callable[[Sequence[str], float], Answer] = run
    is_root: bool = field(default_factory=lambda: os.geteuid() == 0)
    wait: Callable[[float], None] = time.sleep

    @property
    def load_s(self) -> int:
        return LOAD_S[self.level]

    @property
    def limits(self) -> Limits:
        return self.profile.limits if self.profile is not None else Limits()

    def inventory(self) -> Inventory:
        nvml = self.machine.nvml()
        return Inventory(NvmlGpus(nvml) if nvml is not None else NoGpus(), self.machine.root)

    def cards(self) -> list[tuple[str, Any, Any]]:
        """(PCI address, NVML, handle) of each card that answers."""
        return list(self.machine.nvml_cards())

    def disks(self, prefix: str = "") -> list[str]:
        return [disk.name for disk in self.inventory().disks() if disk.name.startswith(prefix)]

    def fans(self) -> list[tuple[str, int]]:
        """(name, turns per minute) of each fan that measures."""
        return list(self._readings("fan", "_input"))

    def temperatures(self) -> list[tuple[str, int, int]]:
        """(name, millidegrees now, critical millidegrees) of each sensor."""
        return list(sensors(self.machine))

    def efi_variable(self, name: str) -> bytes | None:
        """The value of a UEFI variable, without its attributes; None where there is none."""
        path = self.machine.root / f"sys/firmware/efi/efivars/{name}-{EFI_VENDOR}"
        try:
            return path.read_bytes()[4:]
        except OSError:
            return None

    def kernel_log(self) -> str | None:
        """What the kernel said in this boot; None when nobody may read it."""
        answer = self.machine.ask(["journalctl", "--dmesg", "--boot", "--no-pager", "--quiet", "--output=short-unix"])
        if answer.code != 0:
            answer = self.machine.ask(["dmesg"])
        return answer.out if answer.code == 0 else None

    def _readings(self, stem: str, end: str) -> Iterator[tuple[str, int]]:
        for chip in self.machine.names("sys/class/hwmon"):
            folder = f"sys/class/hwmon/{chip}"
            for file in self.machine.names(folder):
                value = (
                    self.machine.number(f"{folder}/{file}") if file.startswith(stem) and file.endswith(end) else None
                )
                if value is not None:
                    yield f"{self.machine.text(f'{folder}/name') or chip}/{file.removesuffix(end)}", value


def absent(probe: Probe) -> dict[str, str]:
    """What this machine lacks, with the reason: the names are those of the markers `needs_…`."""
    machine = probe.machine
    lacks = {
        "gpu": (bool(probe.cards()), "no NVIDIA card answers its driver"),
        "nvme": (bool(probe.disks("nvme")), "there is no NVMe disk"),
        "fan": (bool(probe.fans()), "no fan measures its turns"),
        "sensor": (bool(probe.temperatures()), "there is no temperature sensor"),
        "tpm": (bool(machine.names("sys/class/tpm")), "there is no TPM"),
        "efi": (bool(machine.names("sys/firmware/efi/efivars")), "it did not boot by UEFI"),
        "secure_boot": (probe.efi_variable("SecureBoot") is not None, "the firmware knows no Secure Boot"),
        "watchdog": (bool(machine.names("sys/class/watchdog")), "there is no watchdog"),
        "edac": (bool(machine.names("sys/devices/system/edac/mc")), "the memory controller counts no errors (EDAC)"),
        "root": (probe.is_root, "it takes root"),
        "profile": (probe.profile is not None, "no --profile says what this model must have"),
        "hub": (bool(machine.status and machine.status.hub_url), "no agent here knows a hub"),
    }
    return {name: reason for name, (is_there, reason) in lacks.items() if not is_there}
