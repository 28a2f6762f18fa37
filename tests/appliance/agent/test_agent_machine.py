"""What the agent says about the machine: true, and null with a reason where it cannot know."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from appliance.agent.gpus import NoGpus, NvmlGpus, find_gpus
from appliance.agent.inventory import Inventory
from appliance.agent.telemetry import Gauges, Telemetry, host_counters
from chain.proofs import counters
from fleet.protocol.messages import UNKNOWN_REASONS


class NvmlError(Exception):
    def __init__(self, value: int) -> None:
        self.value = value


class TwoCards:
    """NVML with one healthy card that cannot tell its fan, and one that fell off the bus."""

    NVMLError = NvmlError
    NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NO_PERMISSION, NVML_ERROR_DRIVER_NOT_LOADED = 3, 4, 9
    NVML_ERROR_LIBRARY_NOT_FOUND, NVML_TEMPERATURE_GPU, NVML_CLOCK_SM = 12, 0, 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index == 0:
            raise NvmlError(15)
        return index + 1

    def __getattr__(self, name: str) -> Any:
        values: dict[str, Any] = {
            "nvmlDeviceGetUUID": "GPU-1234",
            "nvmlDeviceGetName": b"NVIDIA Test 9000",
            "nvmlSystemGetDriverVersion": "580.1",
            "nvmlDeviceGetMemoryInfo": type("M", (), {"total": 8 << 30, "used": 1 << 30}),
            "nvmlDeviceGetPciInfo": type("P", (), {"busId": "0000:01:00.0"}),
            "nvmlDeviceGetUtilizationRates": type("U", (), {"gpu": 7}),
            "nvmlDeviceGetTemperature": 41,
            "nvmlDeviceGetPowerUsage": 20_500,
            "nvmlDeviceGetClockInfo": 1_500,
            "nvmlDeviceGetTotalEnergyConsumption": 123_456,
        }
        if name == "nvmlDeviceGetFanSpeed":
            return self._no_fan
        if name not in values:
            raise AttributeError(name)
        return lambda *_arguments: values[name]

    def _no_fan(self, _handle: int) -> int:
        raise NvmlError(self.NVML_ERROR_NOT_SUPPORTED)


def test_this_machine_is_described_as_it_is() -> None:
    hardware = Inventory(NoGpus()).hardware()
    assert hardware.memory_bytes == psutil.virtual_memory().total
    assert hardware.cpu_threads == os.cpu_count()
    assert hardware.cpu_model and hardware.cpu_model in " ".join(Path("/proc/cpuinfo").read_text().split())
    assert {disk.name for disk in hardware.disks} <= {path.name for path in Path("/sys/block").iterdir()}
    assert all(disk.size_bytes for disk in hardware.disks)
    assert "lo" not in {interface.name for interface in hardware.interfaces}


def test_every_null_of_the_inventory_has_a_registered_reason(tmp_path: Path) -> None:
    hardware = Inventory(NoGpus(), root=tmp_path).hardware()
    assert hardware.cpu_model is None and hardware.os is None and hardware.disks == []
    assert {"cpu_model", "os", "disks"} <= hardware.unknown.keys()
    assert set(hardware.unknown.values()) <= set(UNKNOWN_REASONS)


def test_a_board_without_a_model_name_is_read_from_its_device_tree(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nmodel\t: 77\nBogoMIPS\t: 50.0\n")
    (tmp_path / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B\0")
    assert Inventory(NoGpus(), root=tmp_path).cpu_model() == "Raspberry Pi 5 Model B"


def test_disks_are_whole_disks_with_their_size(tmp_path: Path) -> None:
    for name, sectors, rotational in (
        ("sda", "2000", "1"),
        ("nvme0n1", "4000", "0"),
        ("loop0", "9", "0"),
        ("sdb", "0", "1"),
    ):
        (tmp_path / f"sys/block/{name}/queue").mkdir(parents=True)
        (tmp_path / f"sys/block/{name}/size").write_text(sectors)
        (tmp_path / f"sys/block/{name}/queue/rotational").write_text(rotational)
    disks = Inventory(NoGpus(), root=tmp_path).disks()
    assert [(disk.name, disk.size_bytes, disk.kind) for disk in disks] == [
        ("nvme0n1", 2_048_000, "nvme"),
        ("sda", 1_024_000, "hdd"),
    ]


def test_a_card_tells_what_it_can_and_a_lost_one_is_not_invented() -> None:
    gpus = NvmlGpus(TwoCards())
    (card,) = gpus.inventory()
    assert (card.index, card.uuid, card.name, card.memory_bytes) == (1, "GPU-1234", "NVIDIA Test 9000", 8 << 30)
    ((index, gauges),) = gpus.telemetry(at_ms=1)
    assert index == 1 and (gauges.power_w, gauges.temp_c, gauges.fan_pct) == (20.5, 41.0, None)
    assert gauges.unknown == {"fan_pct": "not_supported"}
    assert gpus.counters() == [("GPU-1234", {"energy_mj": 123_456})]


def test_without_nvidias_library_there_are_no_gpus() -> None:
    assert isinstance(find_gpus().inventory(), list)


def test_the_counters_of_a_record_are_registered_and_grow(hub_clock) -> None:
    first, second = host_counters(hub_clock), host_counters(hub_clock)
    counters.check_registered(first, counters.HOST)
    assert first.keys() == counters.HOST.keys()
    for name, value in first.items():
        later = second[name]
        assert value is None or (later is not None and later >= value)


def test_gauges_are_flat_and_every_null_has_a_reason(hub_clock) -> None:
    gauges = Gauges(hub_clock).system()
    missing = [name for name in gauges.__struct_fields__ if getattr(gauges, name) is None]
    assert set(missing) <= set(gauges.unknown) and gauges.memory_total_bytes == psutil.virtual_memory().total


@pytest.mark.parametrize("source", [NoGpus(), NvmlGpus(TwoCards())])
def test_one_sample_goes_out_per_card(source, hub_clock) -> None:
    system: list[object] = []
    cards: list[tuple[int, object]] = []
    telemetry = Telemetry(
        Gauges(hub_clock),
        source,
        hub_clock,
        interval_s=1,
        publish_system=system.append,
        publish_gpu=lambda index, gauges: cards.append((index, gauges)),
    )
    telemetry.sample()
    assert len(system) == 1 and [index for index, _ in cards] == [card.index for card in source.inventory()]
