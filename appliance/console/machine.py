"""How this machine is: what its processor, memory, data disk and network have to say. Unknown is None."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

MAX_FILE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface; `addresses` with their prefix, `fixed` when the owner's settings name the address."""

    name: str
    is_up: bool
    speed_mbps: int | None
    addresses: tuple[str, ...]
    fixed: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """One look at the hardware. Sizes in bytes, temperatures in degrees Celsius."""

    uptime_s: int
    load: float
    cores: int
    memory_bytes: int
    memory_free_bytes: int
    data_bytes: int | None
    data_free_bytes: int | None
    hottest_c: float | None
    links: tuple[Link, ...]
    gateway: str | None
    dns: tuple[str, ...]


def look(root: Path = Path("/")) -> Machine:
    """`root` is where /run, /proc and /var are; tests have trees of their own."""
    memory = psutil.virtual_memory()
    data = _usage(root / "var")
    return Machine(
        uptime_s=int(time.time() - psutil.boot_time()),
        load=os.getloadavg()[0],
        cores=psutil.cpu_count() or 1,
        memory_bytes=memory.total,
        memory_free_bytes=memory.available,
        data_bytes=data and data[0],
        data_free_bytes=data and data[1],
        hottest_c=_hottest_c(),
        links=tuple(_links(root)),
        gateway=_gateway(root / "proc/net/route"),
        dns=tuple(_dns(root / "run/systemd/resolve/resolv.conf")),
    )


def _links(root: Path) -> Iterator[Link]:
    states = psutil.net_if_stats()
    for name, found in sorted(psutil.net_if_addrs().items()):
        state = states.get(name)
        if name == "lo" or state is None:
            continue
        addresses = tuple(
            f"{each.address}/{_prefix(each.netmask)}" if each.netmask else each.address
            for each in found
            if each.family == socket.AF_INET
        )
        yield Link(name, state.isup, state.speed or None, addresses, _is_fixed(root, name))


def _is_fixed(root: Path, name: str) -> bool:
    """Whether systemd-networkd runs the interface by a file that names an address."""
    try:
        number = socket.if_nametoindex(name)
        state = (root / f"run/systemd/netif/links/{number}").read_text("utf-8")
        chosen = next(line.partition("=")[2] for line in state.splitlines() if line.startswith("NETWORK_FILE="))
        return "\nAddress=" in (root / chosen.lstrip("/")).read_text("utf-8")
    except (OSError, UnicodeDecodeError, StopIteration):
        return False


def _gateway(path: Path) -> str | None:
    """The first default route's next hop, from the kernel's table (addresses are little-endian hexadecimal)."""
    try:
        rows = [line.split() for line in path.read_text("ascii").splitlines()[1:]]
        found = next(row[2] for row in rows if len(row) > 2 and row[1] == "00000000" and row[2] != "00000000")
        return socket.inet_ntoa(bytes.fromhex(found)[::-1])
    except (OSError, ValueError, StopIteration):
        return None


def _dns(path: Path) -> Iterator[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    yield from (line.split()[1] for line in lines if line.startswith("nameserver ") and len(line.split()) > 1)


def _prefix(netmask: str) -> int:
    return int.from_bytes(socket.inet_aton(netmask)).bit_count()


def _usage(folder: Path) -> tuple[int, int] | None:
    try:
        found = psutil.disk_usage(str(folder))
    except OSError:
        return None
    return found.total, found.free


def _hottest_c() -> float | None:
    readings = [each.current for found in psutil.sensors_temperatures().values() for each in found]
    return max(readings, default=None)
