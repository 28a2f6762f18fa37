"""The machine's gauges, sent every few seconds as flat JSON for ordinary tools, and its counters for records."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from appliance.agent.clock import Clock
from appliance.agent.gpus import GpuSource
from fleet.protocol.messages import GpuTelemetry, SystemTelemetry

SENSORS = ("coretemp", "k10temp", "cpu_thermal", "zenpower", "acpitz")
"""Where a processor's temperature may be, the best first."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """Reads the whole machine's gauges; the first CPU percentage is unknown, since it needs two samples."""

    clock: Clock
    disk_path: str = "/"

    def system(self) -> SystemTelemetry:
        unknown: dict[str, str] = {}
        memory = psutil.virtual_memory()
        temperature = _temperature(psutil.sensors_temperatures() if hasattr(psutil, "sensors_temperatures") else {})
        if temperature is None:
            unknown["temp_c"] = "no_sensor"
        disk = psutil.disk_usage(self.disk_path)
        network = _physical_network()
        return SystemTelemetry(
            at_ms=self.clock.now_ms(),
            cpu_pct=psutil.cpu_percent(interval=None),
            load_1m=round(psutil.getloadavg()[0], 2),
            memory_used_bytes=memory.total - memory.available,
            memory_total_bytes=memory.total,
            disk_used_bytes=disk.used,
            disk_total_bytes=disk.total,
            rx_bytes=network[0],
            tx_bytes=network[1],
            temp_c=temperature,
            uptime_s=int(self.clock.monotonic_s()),
            unknown=unknown,
        )


def host_counters(clock: Clock) -> dict[str, int | None]:
    """Cumulative counters since boot, as a work record's `host` carries them; all integers, unknown is None."""
    times = psutil.cpu_times()
    busy_s = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
    received, sent = _physical_network()
    disk = psutil.disk_io_counters(nowrap=False)
    return {
        "uptime_ms": int(clock.monotonic_s() * 1000),
        "cpu_busy_ms": int(busy_s * 1000),
        "cpu_total_ms": int((busy_s + times.idle + times.iowait) * 1000),
        "net_rx_bytes": received,
        "net_tx_bytes": sent,
        "disk_read_bytes": disk.read_bytes if disk else None,
        "disk_write_bytes": disk.write_bytes if disk else None,
    }


class Telemetry:
    """Component: publishes `tele/sys` and `tele/gpu/{i}` while there is a connection. Nothing is kept for later."""

    name = "telemetry"

    def __init__(
        self,
        gauges: Gauges,
        gpus: GpuSource,
        clock: Clock,
        *,
        interval_s: float,
        publish_system: Callable[[SystemTelemetry], object],
        publish_gpu: Callable[[int, GpuTelemetry], object],
    ) -> None:
        self._gauges = gauges
        self._gpus = gpus
        self._clock = clock
        self._interval_s = interval_s
        self._publish_system = publish_system
        self._publish_gpu = publish_gpu

    def run(self, stop: threading.Event) -> None:
        psutil.cpu_percent(interval=None)
        while not stop.wait(self._interval_s):
            self.sample()

    def sample(self) -> None:
        self._publish_system(self._gauges.system())
        for index, gauges in self._gpus.telemetry(self._clock.now_ms()):
            self._publish_gpu(index, gauges)


def _temperature(sensors: Mapping[str, list[Any]]) -> float | None:
    for name in SENSORS:
        readings = [reading.current for reading in sensors.get(name, []) if reading.current is not None]
        if readings:
            return float(max(readings))
    return None


def _physical_network() -> tuple[int | None, int | None]:
    counters = psutil.net_io_counters(pernic=True, nowrap=False)
    real = [item for name, item in counters.items() if name != "lo"]
    if not real:
        return None, None
    return sum(item.bytes_recv for item in real), sum(item.bytes_sent for item in real)
