"""What the checks look at: this machine through injected eyes, so that a recorded tree can stand in for it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from appliance.agent.status import Status
from appliance.doctor.pci import pci_address
from chain import outward
from chain.outward import Proxy, proxy_for

ANSWER_TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 4 << 20
CONNECT_TIMEOUT_S: Final = 3.0


class Answer(NamedTuple):
    """How a program ended; `code` is None when it is not installed or did not end in time."""

    code: int | None
    out: str = ""


class Room(NamedTuple):
    """A file system's bytes and inodes, all and free; `inodes` is 0 where the file system has no fixed number."""

    size_bytes: int
    free_bytes: int
    inodes: int
    free_inodes: int


def ask(argv: Sequence[str]) -> Answer:
    """Run a program that only tells; bounded in time and size, never through a shell."""
    if shutil.which(argv[0]) is None:
        return Answer(None)
    try:
        done = subprocess.run(argv, capture_output=True, timeout=ANSWER_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return Answer(None)
    return Answer(done.returncode, done.stdout[:MAX_ANSWER_BYTES].decode("utf-8", "replace"))


def room(path: Path) -> Room:
    """Raises OSError."""
    found = os.statvfs(path)
    return Room(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail)


def resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except OSError:
        return False


def connects(address: tuple[str, int] | Path) -> bool:
    """Whether something listens at a TCP address or a Unix socket. Raises PermissionError when it may not be asked."""
    try:
        if isinstance(address, Path):
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(CONNECT_TIMEOUT_S)
                line.connect(str(address))
        else:
            outward.connect(*address, CONNECT_TIMEOUT_S).close()
    except PermissionError:
        raise
    except OSError:
        return False
    return True


def no_nvml() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One look at a machine.

    - `root`: where `/sys` and `/proc` are; `data`: the folder whose file system must have room.
    - `nvml`: gives NVML's module, initialised, or None where there is no driver.
    - `status`: what the agent here says of itself, None where none ever ran.
    - `boot`: the boot's id; `cards`: PCI address of every card seen before, with the id of the last boot that saw it.
    - `repaired_ms`: when something was last done about a subject; what the kernel said before that counts no more.
    """

    root: Path = Path("/")
    data: Path = Path("/")
    nvml: Callable[[], Any | None] = no_nvml
    ask: Callable[[Sequence[str]], Answer] = ask
    room: Callable[[Path], Room] = room
    resolves: Callable[[str], bool] = resolves
    connects: Callable[[tuple[str, int] | Path], bool] = connects
    proxy: Callable[[str], Proxy | None] = proxy_for
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    status: Status | None = None
    boot: str = ""
    cards: Mapping[str, str] = field(default_factory=dict)
    repaired_ms: Mapping[str, int] = field(default_factory=dict)

    def text(self, path: str) -> str | None:
        """A small file below `root`, stripped; None when it cannot be read."""
        try:
            return (self.root / path).read_text("utf-8", "replace").strip().strip("\0")
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """An integer in a file of its own, as sysfs has them."""
        text = self.text(path)
        with suppress(ValueError):
            return None if text is None else int(text)
        return None

    def names(self, path: str) -> list[str]:
        """What is in a folder below `root`, by name; empty when there is none."""
        try:
            return sorted(each.name for each in (self.root / path).iterdir())
        except OSError:
            return []

    def answer_json(self, argv: Sequence[str]) -> Any | None:
        """What a program prints as JSON, whatever its exit status: smartctl's tells what it found; else None."""
        return _document(self.ask(argv).out)

    def recorded_json(self, path: str) -> Any | None:
        """A JSON file below `root` that one of our units wrote; None where there is none that can be read."""
        return _document(self.text(path) or "")

    def pci_cards(self) -> list[str]:
        """PCI addresses of NVIDIA's graphics cards and accelerators, as sysfs spells them."""
        found = []
        for address in self.names("sys/bus/pci/devices"):
            folder = f"sys/bus/pci/devices/{address}"
            is_card = (self.text(f"{folder}/class") or "").startswith("0x03")
            if is_card and self.text(f"{folder}/vendor") == "0x10de":
                found.append(address)
        return found

    def nvml_cards(self) -> Iterator[tuple[str, Any, Any]]:
        """(PCI address, NVML, handle) of each card that answers its driver."""
        nvml = self.nvml()
        if nvml is None:
            return
        with suppress(nvml.NVMLError):
            for index in range(int(nvml.nvmlDeviceGetCount())):
                with suppress(nvml.NVMLError):
                    handle = nvml.nvmlDeviceGetHandleByIndex(index)
                    yield pci_address(nvml.nvmlDeviceGetPciInfo(handle).busId), nvml, handle


def _document(text: str) -> Any | None:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
