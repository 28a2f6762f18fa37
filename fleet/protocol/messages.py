"""The JSON messages: state, inventory, telemetry, events. Units stand in the names, unknown is null with a reason.

Where a field can be null because nobody could read it, `unknown` maps its name to a reason code (`UNKNOWN_REASONS`), so
that a screen can say why a number is missing. Fields are only ever added; a reader ignores those it does not know.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from chain.errors import Malformed

UNKNOWN_REASONS: Final[dict[str, str]] = {
    "no_sensor": "The machine has no such sensor.",
    "no_permission": "The agent may not read it; start it as root or through its systemd unit.",
    "no_driver": "The driver that would tell is not installed.",
    "not_supported": "The hardware or its driver does not report it.",
    "not_yet": "Two samples are needed, and there was one.",
    "read_failed": "Reading it failed this time.",
}


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Leaf `state`. `boot` is the boot id (32 hex digits); `reason` is null online, else `lwt`, `shutdown`, …."""

    online: bool
    boot: str | None = None
    agent: str | None = None
    os: str | None = None
    since_ms: int | None = None
    reason: str | None = None


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """One block device or file system."""

    name: str
    size_bytes: int | None = None
    free_bytes: int | None = None
    kind: str | None = None


class Interface(msgspec.Struct, frozen=True, kw_only=True):
    """One network interface; addresses stay on the device."""

    name: str
    up: bool | None = None
    speed_mbit: int | None = None


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU as NVML tells it. Self-reported: only PoG proves that it computes. `quarantined`: it takes no work."""

    index: int
    uuid: str
    name: str | None = None
    memory_bytes: int | None = None
    driver: str | None = None
    pci: str | None = None
    quarantined: bool = False
    unknown: dict[str, str] = {}


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine is made of."""

    hostname: str | None = None
    architecture: str | None = None
    os: str | None = None
    kernel: str | None = None
    cpu_model: str | None = None
    cpu_cores: int | None = None
    cpu_threads: int | None = None
    memory_bytes: int | None = None
    disks: list[Disk] = []
    interfaces: list[Interface] = []
    unknown: dict[str, str] = {}


class RepairAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One repair that the machine tried; `outcome` is begun (the machine went down with it), done or failed."""

    repair: str
    at_ms: int
    outcome: str
    said: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What ails the machine now. `kind` is a key of docs/doctor.md, `subject` the part, `severity` info, warn or crit.

    `next_repair` is what the machine will try by itself; `needs_person`: it will try nothing more.
    """

    id: str
    kind: str
    subject: str
    severity: str
    since_ms: int
    said: str
    suggestion: str
    attempts: list[RepairAttempt] = []
    next_repair: str | None = None
    needs_person: bool = False
    logs: list[str] = []


class Software(msgspec.Struct, frozen=True, kw_only=True):
    """The system that an appliance runs, and what its updater is at.

    `state` is off, current, installing, waiting, restarting or failed, `reason` a sentence and `code` of the registry.
    """

    version: str | None = None
    release: int | None = None
    channel: str | None = None
    state: str | None = None
    reason: str | None = None
    code: str | None = None


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """Leaf `reported`: the whole document, never a difference. `version` is that of the desired state in force."""

    version: int
    hardware: Hardware
    gpus: list[Gpu] = []
    problems: list[Problem] = []
    software: Software | None = None
    owner: str | None = None
    config: dict[str, str] = {}
    job: str | None = None


class SystemTelemetry(msgspec.Struct, frozen=True, kw_only=True):
    """Leaf `tele/sys`. Byte counters are cumulative since boot; percentages are 0 to 100 of the whole machine."""

    at_ms: int
    cpu_pct: float | None = None
    load_1m: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    disk_used_bytes: int | None = None
    disk_total_bytes: int | None = None
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    temp_c: float | None = None
    uptime_s: int | None = None
    unknown: dict[str, str] = {}


class GpuTelemetry(msgspec.Struct, frozen=True, kw_only=True):
    """Leaf `tele/gpu/{index}`."""

    at_ms: int
    uuid: str
    util_pct: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    temp_c: float | None = None
    power_w: float | None = None
    fan_pct: float | None = None
    clock_mhz: int | None = None
    unknown: dict[str, str] = {}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Leaf `event/{level}/{code}`: one sentence for a person, and data for a program."""

    at_ms: int
    text: str
    data: dict[str, str | int | float | bool | None] = {}


T = TypeVar("T")


def encode(message: msgspec.Struct) -> bytes:
    """The message as JSON."""
    return msgspec.json.encode(message)


def decode(data: bytes, kind: type[T]) -> T:
    """Read a JSON message of the given struct. Raises Malformed."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("malformed", f"{kind.__name__} of {len(data)} bytes: {error}") from None
