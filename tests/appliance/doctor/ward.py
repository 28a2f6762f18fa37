"""A recorded machine: a tree of files for /sys and /proc, and what programs and NVML answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from appliance.agent.status import Status
from appliance.doctor.machine import Answer, Machine, Room
from chain.outward import Proxy

NOW_MS = 1_800_000_000_000
BOOT = "boot-1"
GIB = 1 << 30


class NvmlError(Exception):
    """What pynvml raises."""

    value = 15


@dataclass
class FakeCard:
    """One card as NVML tells it; `is_lost`: every question about it fails."""

    pci: str
    degrees: int = 60
    slowdown_degrees: int = 93
    throttle_reasons: int = 0
    is_lost: bool = False
    name: str = "NVIDIA GeForce RTX 4090"
    memory_mib: int = 24_564
    uncorrected: int = 0
    remapped: tuple[int, int, int, int] = (0, 0, 0, 0)
    lanes: int = 16
    generation: int = 4


def gpu_uuid(pci: str) -> str:
    """A UUID of NVML's form for the card at a PCI address."""
    return f"GPU-{UUID(int=int(pci.replace(':', '').replace('.', ''), 16))}"


@dataclass
class FakeNvml:
    """The part of pynvml that the checks use, for the cards that it holds."""

    cards: list[FakeCard]

    NVMLError = NvmlError
    NVML_TEMPERATURE_GPU = 0
    NVML_TEMPERATURE_THRESHOLD_SLOWDOWN = 1
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_AGGREGATE_ECC = 1, 1
    NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NO_PERMISSION, NVML_ERROR_DRIVER_NOT_LOADED = 3, 4, 9
    NVML_ERROR_LIBRARY_NOT_FOUND = 12

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeCard:  # noqa: N802
        if self.cards[index].is_lost:
            raise NvmlError("GPU is lost")
        return self.cards[index]

    def nvmlDeviceGetPciInfo(self, card: FakeCard) -> Any:  # noqa: N802
        return type("Pci", (), {"busId": f"0000{card.pci.upper()}".encode()})

    def nvmlDeviceGetUUID(self, card: FakeCard) -> str:  # noqa: N802
        return gpu_uuid(card.pci)

    def nvmlDeviceGetTemperature(self, card: FakeCard, _sensor: int) -> int:  # noqa: N802
        return card.degrees

    def nvmlDeviceGetTemperatureThreshold(self, card: FakeCard, _which: int) -> int:  # noqa: N802
        return card.slowdown_degrees

    def nvmlDeviceGetName(self, card: FakeCard) -> bytes:  # noqa: N802
        return card.name.encode()

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "580.1"

    def nvmlDeviceGetMemoryInfo(self, card: FakeCard) -> Any:  # noqa: N802
        return type("Memory", (), {"total": card.memory_mib << 20, "used": 0})

    def nvmlDeviceGetTotalEccErrors(self, card: FakeCard, _kind: int, _span: int) -> int:  # noqa: N802
        return card.uncorrected

    def nvmlDeviceGetRemappedRows(self, card: FakeCard) -> tuple[int, int, int, int]:  # noqa: N802
        return card.remapped

    def nvmlDeviceGetCurrPcieLinkWidth(self, card: FakeCard) -> int:  # noqa: N802
        return card.lanes

    def nvmlDeviceGetMaxPcieLinkWidth(self, _card: FakeCard) -> int:  # noqa: N802
        return 16

    def nvmlDeviceGetMaxPcieLinkGeneration(self, card: FakeCard) -> int:  # noqa: N802
        return card.generation

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, card: FakeCard) -> int:  # noqa: N802
        return card.throttle_reasons


@dataclass
class Ward:
    """Builds machines below `root`; `answers` are by a program's first words, the newest that fits counts."""

    root: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    nvml: FakeNvml | None = None
    status: Status | None = None
    room: Room = field(default_factory=lambda: Room(100 * GIB, 50 * GIB, 1000, 900))
    names: set[str] = field(default_factory=set)
    proxy: Proxy | None = None
    open_ports: set[tuple[str, int]] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def put_card(self, pci: str) -> None:
        self.put(f"sys/bus/pci/devices/{pci}/class", "0x030000\n")
        self.put(f"sys/bus/pci/devices/{pci}/vendor", "0x10de\n")

    def answer(self, words: str, out: str | object, code: int = 0) -> None:
        self.answers.pop(words, None)
        self.answers[words] = Answer(code, out if isinstance(out, str) else json.dumps(out))

    def ask(self, argv: Sequence[str]) -> Answer:
        line = " ".join(argv)
        self.asked.append(line)
        fitting = [words for words in self.answers if line.startswith(words)]
        return self.answers[fitting[-1]] if fitting else Answer(None)

    def connects(self, address: tuple[str, int] | Path) -> bool:
        return isinstance(address, Path) or address in self.open_ports

    def machine(self, **changed: Any) -> Machine:
        given: dict[str, Any] = {
            "root": self.root,
            "data": Path("/data"),
            "nvml": lambda: self.nvml,
            "ask": self.ask,
            "room": lambda _path: self.room,
            "resolves": lambda host: host in self.names,
            "connects": self.connects,
            "proxy": lambda _host: self.proxy,
            "now_ms": lambda: NOW_MS,
            "status": self.status,
            "boot": BOOT,
        }
        return Machine(**{**given, **changed})


def well_ward(root: Path) -> Ward:
    """A machine with two cards, an NVMe disk, a network, a hub, k3s and an agent, on which nothing ails."""
    ward = Ward(root)
    for pci in ("0000:01:00.0", "0000:02:00.0"):
        ward.put_card(pci)
    ward.nvml = FakeNvml([FakeCard("0000:01:00.0"), FakeCard("0000:02:00.0")])
    ward.answer("journalctl --dmesg --boot", "1799999990.000000 box kernel: Linux version 6.1.0\n")
    ward.put("sys/class/hwmon/hwmon0/name", "k10temp")
    ward.put("sys/class/hwmon/hwmon0/temp1_input", "52000")
    ward.put("sys/class/hwmon/hwmon0/temp1_crit", "95000")
    ward.put("sys/block/nvme0n1/size", "1000")
    ward.answer("smartctl --json --all /dev/nvme0n1", nvme_health())
    ward.put("proc/pressure/memory", "some avg10=0.00 avg60=0.00\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0")
    ward.answer("timedatectl show", "yes\n")
    ward.put("sys/class/net/lo/carrier", "1")
    ward.put("sys/class/net/eth0/carrier", "1")
    ward.answer("ip -json address", [{"ifname": "eth0", "addr_info": [{"local": "192.0.2.7"}]}])
    ward.names = {"hub.example"}
    ward.open_ports = {("hub.example", 8443), ("127.0.0.1", 10248)}
    ward.answer("systemctl show k3s.service", unit_properties("active", "running"))
    ward.answer("systemctl show k3s-agent.service", "LoadState=not-found\nActiveState=inactive\nUnitFileState=\n")
    ward.put("run/k3s/containerd/containerd.sock", "")
    ward.status = Status(
        is_running=True,
        enrolled=True,
        hub_url="https://hub.example:8443",
        written_ms=NOW_MS - 5_000,
        clock_offset_ms=0,
        spool_records=3,
    )
    return ward


def nvme_health(**changed: int) -> dict[str, Any]:
    """What `smartctl --json --all` prints of an NVMe disk, as far as anybody reads it."""
    log = {"critical_warning": 0, "media_errors": 0, "percentage_used": 3, "available_spare": 100}
    log["available_spare_threshold"] = 10
    return {"smart_status": {"passed": True}, "nvme_smart_health_information_log": {**log, **changed}}


def unit_properties(active: str, sub: str, restarts: int = 0) -> str:
    return f"LoadState=loaded\nUnitFileState=enabled\nActiveState={active}\nSubState={sub}\nNRestarts={restarts}\n"
