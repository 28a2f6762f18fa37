"""What this machine is: processor, memory, disks, network, GPUs. What cannot be read is null and has a reason."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from appliance.agent.gpus import GpuSource
from fleet.protocol.messages import Disk, Hardware, Interface, Reported

SECTOR_BYTES = 512
"""The unit of /sys/block/*/size, whatever the disk's own sectors are."""
NOT_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd")
MODEL_KEYS = ("model name", "hardware", "model", "cpu model")

T = TypeVar("T")


@dataclass(slots=True)
class Inventory:
    """Reads the machine below `root`, which is `/` but for tests."""

    gpus: GpuSource
    root: Path = Path("/")
    _unknown: dict[str, str] = field(default_factory=dict, init=False)

    def reported(self, *, version: int, owner: str | None) -> Reported:
        """The whole `reported` document; `version` is that of the desired state in force."""
        return Reported(
            version=version,
            hardware=self.hardware(),
            gpus=self.gpus.inventory(),
            owner=owner,
        )

    def hardware(self) -> Hardware:
        self._unknown = {}
        return Hardware(
            hostname=platform.node() or None,
            architecture=platform.machine() or None,
            os=self._known("os", self._os_name(), "read_failed"),
            kernel=platform.release() or None,
            cpu_model=self._known("cpu_model", self.cpu_model(), "not_supported"),
            cpu_cores=self._known("cpu_cores", psutil.cpu_count(logical=False), "not_supported"),
            cpu_threads=os.cpu_count(),
            memory_bytes=psutil.virtual_memory().total,
            disks=self.disks(),
            interfaces=self.interfaces(),
            unknown=self._unknown,
        )

    def cpu_model(self) -> str | None:
        """The processor's name for itself; boards without one in /proc/cpuinfo name themselves in the device tree."""
        try:
            text = (self.root / "proc/cpuinfo").read_text(errors="replace")
        except OSError:
            text = ""
        named = {
            key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())
        }
        for key in MODEL_KEYS:
            if named.get(key) and not named[key].isdigit():
                return " ".join(named[key].split())
        return self._text("proc/device-tree/model") or None

    def disks(self) -> list[Disk]:
        """Whole block devices, by name; partitions, loops and memory disks are not disks."""
        try:
            names = sorted(path.name for path in (self.root / "sys/block").iterdir())
        except OSError:
            self._unknown["disks"] = "read_failed"
            return []
        found = [self._disk(name) for name in names if not name.startswith(NOT_DISKS)]
        return [disk for disk in found if disk.size_bytes != 0]  # an empty card reader

    def interfaces(self) -> list[Interface]:
        """Network interfaces but loopback; their addresses stay here."""
        found = []
        for name, statistics in sorted(psutil.net_if_stats().items()):
            if name != "lo":
                found.append(Interface(name=name, up=statistics.isup, speed_mbit=statistics.speed or None))
        return found

    def _disk(self, name: str) -> Disk:
        sectors = self._text(f"sys/block/{name}/size")
        rotational = self._text(f"sys/block/{name}/queue/rotational")
        kind = "nvme" if name.startswith("nvme") else {"0": "ssd", "1": "hdd"}.get(rotational)
        size = int(sectors) * SECTOR_BYTES if sectors.isdigit() else None
        return Disk(name=name, size_bytes=size, free_bytes=None, kind="virtual" if name.startswith("vd") else kind)

    def _os_name(self) -> str | None:
        for line in self._text("etc/os-release").splitlines():
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                return value.strip('"') or None
        return None

    def _text(self, path: str) -> str:
        try:
            return (self.root / path).read_text(errors="replace").strip().strip("\0")
        except OSError:
            return ""

    def _known(self, name: str, value: T | None, reason: str) -> T | None:
        if value is None:
            self._unknown[name] = reason
        return value
