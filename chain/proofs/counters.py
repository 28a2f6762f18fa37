"""The registry of counters that a work record may carry: names, units and meanings.

Every counter is cumulative since the device's boot unless it says otherwise, an integer from 0 on, and None (null in
CBOR) when it cannot be read: unknown is not zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chain.errors import Malformed
from chain.wire.fields import UINT64_MAX

Counters = Mapping[str, int | None]

COUNTERS_MAX = 64
NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class Counter:
    """`unit` as it stands behind a number; `meaning` is one sentence."""

    unit: str
    meaning: str


HOST: dict[str, Counter] = {
    "uptime_ms": Counter("ms", "Time since boot, suspended time included."),
    "cpu_busy_ms": Counter("ms", "Time that all processors together did not idle."),
    "cpu_total_ms": Counter("ms", "Time that all processors together were there, busy or idle."),
    "net_rx_bytes": Counter("B", "Bytes received on all interfaces but loopback."),
    "net_tx_bytes": Counter("B", "Bytes sent on all interfaces but loopback."),
    "disk_read_bytes": Counter("B", "Bytes read from all disks."),
    "disk_write_bytes": Counter("B", "Bytes written to all disks."),
}

GPU: dict[str, Counter] = {
    "energy_mj": Counter("mJ", "Energy used since the driver was loaded (NVML)."),
    "busy_ms": Counter("ms", "Time in which at least one kernel ran."),
    "ecc_uncorrected": Counter("errors", "Uncorrected memory errors over the card's life (NVML)."),
    "pcie_replays": Counter("packets", "PCI Express packets that were sent again (NVML)."),
    "power_throttle_ms": Counter("ms", "Time in which the power limit held the clocks down (NVML)."),
    "thermal_throttle_ms": Counter("ms", "Time in which heat held the clocks down (NVML)."),
}

LOAD: dict[str, Counter] = {
    "cpu_ns": Counter("ns", "Processor time of the load's control group since it started."),
    "gpu_ms": Counter("ms", "Time in which the load's processes kept a GPU busy since it started."),
    "rss": Counter("B", "Resident memory at the end of the interval; a level, not a sum."),
    "tx": Counter("B", "Bytes that the load sent since it started."),
    "rx": Counter("B", "Bytes that the load received since it started."),
}


def check_registered(counters: Counters, registry: Mapping[str, Counter]) -> None:
    """What a producer holds itself to: Malformed for a name that the registry does not know."""
    unknown = counters.keys() - registry.keys()
    if unknown:
        raise Malformed("malformed", f"counters {sorted(unknown)} are not in the registry")


def check_readable(value: object) -> Counters:
    """What a consumer holds others to: a map of well-formed names to counts; names of later versions are welcome."""
    if not isinstance(value, dict) or len(value) > COUNTERS_MAX:
        raise Malformed("malformed", f"counters are a map of at most {COUNTERS_MAX} items")
    for name, count in value.items():
        if type(name) is not str or (name not in HOST and name not in GPU and not NAME_PATTERN.fullmatch(name)):
            raise Malformed("malformed", f"{name!r} is no name of a counter")
        if count is not None and (type(count) is not int or not 0 <= count <= UINT64_MAX):
            raise Malformed("malformed", f"counter {name} is neither null nor an integer from 0 to 2^64 - 1")
    return value
