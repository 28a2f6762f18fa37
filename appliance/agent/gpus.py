"""The machine's GPUs as NVIDIA's management library (NVML) tells them: self-reported, never proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from fleet.protocol.messages import Gpu, GpuTelemetry


class GpuSource(Protocol):
    """What tells about GPUs."""

    def inventory(self) -> list[Gpu]:
        """The cards, in NVML's order; empty when there is no driver."""

    def telemetry(self, at_ms: int) -> list[tuple[int, GpuTelemetry]]:
        """(NVML index, gauges) of each card that answers now."""

    def counters(self) -> list[tuple[str, dict[str, int | None]]]:
        """(uuid, cumulative counters) per card, for work records."""


class NoGpus:
    """A machine without NVML: `reason` is from `UNKNOWN_REASONS`."""

    def __init__(self, reason: str = "no_driver") -> None:
        self.reason = reason

    def inventory(self) -> list[Gpu]:
        return []

    def telemetry(self, at_ms: int) -> list[tuple[int, GpuTelemetry]]:
        return []

    def counters(self) -> list[tuple[str, dict[str, int | None]]]:
        return []


@dataclass(slots=True)
class _Reading:
    """Collects what could be read and why the rest could not."""

    nvml: Any
    unknown: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except self.nvml.NVMLError as error:
            self.unknown[name] = _reason(self.nvml, error)
            return None


class NvmlGpus:
    """GPUs through an initialised NVML module (`pynvml`); a card that fails is reported with nulls, not left out."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml

    def inventory(self) -> list[Gpu]:
        return [card for index in range(self._count()) if (card := self._card(index)) is not None]

    def telemetry(self, at_ms: int) -> list[tuple[int, GpuTelemetry]]:
        found = ((index, self._gauges(index, at_ms)) for index in range(self._count()))
        return [(index, gauges) for index, gauges in found if gauges is not None]

    def counters(self) -> list[tuple[str, dict[str, int | None]]]:
        found = (self._counters(index) for index in range(self._count()))
        return [counters for counters in found if counters is not None]

    def _count(self) -> int:
        try:
            return int(self._nvml.nvmlDeviceGetCount())
        except self._nvml.NVMLError:
            return 0

    def _card(self, index: int) -> Gpu | None:
        nvml, reading = self._nvml, _Reading(self._nvml)
        handle = reading.take("handle", lambda: nvml.nvmlDeviceGetHandleByIndex(index))
        uuid = handle and reading.take("uuid", lambda: _text(nvml.nvmlDeviceGetUUID(handle)))
        if not uuid:
            return None  # fallen off the bus: without its UUID nobody can say which card it was
        return Gpu(
            index=index,
            uuid=uuid,
            name=reading.take("name", lambda: _text(nvml.nvmlDeviceGetName(handle))),
            memory_bytes=reading.take("memory_bytes", lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total)),
            driver=reading.take("driver", lambda: _text(nvml.nvmlSystemGetDriverVersion())),
            pci=reading.take("pci", lambda: _text(nvml.nvmlDeviceGetPciInfo(handle).busId)),
            unknown=reading.unknown,
        )

    def _gauges(self, index: int, at_ms: int) -> GpuTelemetry | None:
        nvml, reading = self._nvml, _Reading(self._nvml)
        handle = reading.take("handle", lambda: nvml.nvmlDeviceGetHandleByIndex(index))
        uuid = handle and reading.take("uuid", lambda: _text(nvml.nvmlDeviceGetUUID(handle)))
        if not uuid:
            return None
        memory = reading.take("memory_used_bytes", lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        return GpuTelemetry(
            at_ms=at_ms,
            uuid=uuid,
            util_pct=reading.take("util_pct", lambda: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)),
            memory_used_bytes=int(memory.used) if memory is not None else None,
            memory_total_bytes=int(memory.total) if memory is not None else None,
            temp_c=reading.take(
                "temp_c", lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
            ),
            power_w=reading.take("power_w", lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
            fan_pct=reading.take("fan_pct", lambda: float(nvml.nvmlDeviceGetFanSpeed(handle))),
            clock_mhz=reading.take("clock_mhz", lambda: int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))),
            unknown=reading.unknown,
        )

    def _counters(self, index: int) -> tuple[str, dict[str, int | None]] | None:
        nvml, reading = self._nvml, _Reading(self._nvml)
        handle = reading.take("handle", lambda: nvml.nvmlDeviceGetHandleByIndex(index))
        uuid = handle and reading.take("uuid", lambda: _text(nvml.nvmlDeviceGetUUID(handle)))
        if not uuid:
            return None
        energy = reading.take("energy_mj", lambda: int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)))
        return uuid, {"energy_mj": energy}


def find_gpus() -> GpuSource:
    """NVML's view of this machine, or `NoGpus` where its library does not load and the module stays out of memory."""
    import ctypes

    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return NoGpus("no_driver")
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return NoGpus(_reason(pynvml, error))
    return NvmlGpus(pynvml)


def _reason(nvml: Any, error: Any) -> str:
    code = getattr(error, "value", None)
    if code == nvml.NVML_ERROR_NOT_SUPPORTED:
        return "not_supported"
    if code == nvml.NVML_ERROR_NO_PERMISSION:
        return "no_permission"
    if code in (nvml.NVML_ERROR_DRIVER_NOT_LOADED, nvml.NVML_ERROR_LIBRARY_NOT_FOUND):
        return "no_driver"
    return "read_failed"


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
