"""An appliance in an emulator: QEMU with UEFI, one disk, one network card, and a serial line that is read as it comes.

Software emulation (TCG), since /dev/kvm may exist and not work; DCCN_QEMU_ACCEL and DCCN_QEMU_CPU say otherwise.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from chain.lifeline import spawn, stop
from tests.appliance.image.boot import write_log

ACCELERATION = os.environ.get("DCCN_QEMU_ACCEL", "tcg,thread=multi,tb-size=512")
PROCESSOR = os.environ.get("DCCN_QEMU_CPU", "Nehalem")
"""What numpy asks for (x86-64-v2), and no more: in software, wide vectors are slower than narrow ones."""
FIRMWARE = Path("/usr/share/OVMF")
DISK_BYTES = 3 << 30
MEMORY_MIB = 1_536
SCREEN = ("-device", "VGA")
EMPTY_BYTES = 4_000
PNG_END = b"IEND\xaeB`\x82"
T = TypeVar("T")


class Machine:
    """One machine with its disk in `folder`; it can be switched on again and again. Use as a context manager.

    `devices` are further words for QEMU; `firmware` and `variables` other files of OVMF than the plain ones. Its page
    answers at `page_port` of the loopback `within` which it runs, 0 for nowhere; `address` is its own, if not by DHCP.
    `log`, if set before switching on, gets every write to the disk (see `write_log`).
    """

    def __init__(
        self,
        folder: Path,
        image: Path,
        *,
        within: Sequence[str] = (),
        devices: Sequence[str] = (),
        disk_bytes: int = DISK_BYTES,
        page_port: int = 0,
        address: str = "",
        firmware: Path = FIRMWARE / "OVMF_CODE_4M.fd",
        variables: Path = FIRMWARE / "OVMF_VARS_4M.fd",
    ) -> None:
        self.folder = folder
        self.disk = folder / "disk.img"
        self.log: Path | None = None
        self._within = within
        self._devices = devices
        self._network = "user,id=net" + (f",hostfwd=tcp:127.0.0.1:{page_port}-{address}:80" if page_port else "")
        self._firmware = firmware
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: list[str] = []
        self._arrived = threading.Condition()
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "--sparse=always", str(image), str(self.disk)], check=True)
        with self.disk.open("r+b") as file:
            file.truncate(disk_bytes)
        shutil.copy(variables, folder / "vars.fd")

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.switch_off()

    def switch_on(self, *devices: str) -> None:
        """`devices` are words for QEMU that count for this time only."""
        plain = ["-drive", f"if=none,id=disk,format=raw,file={self.disk},cache=unsafe"]
        drive = plain if self.log is None else write_log.blockdevs(self.disk, self.log)
        command = [
            *self._within, "qemu-system-x86_64", "-machine", "q35", "-accel", ACCELERATION, "-cpu", PROCESSOR,
            "-smp", "2", "-m", str(MEMORY_MIB), "-display", "none", "-nodefaults", "-no-user-config",
            "-drive", f"if=pflash,format=raw,readonly=on,file={self._firmware}",
            "-drive", f"if=pflash,format=raw,file={self.folder / 'vars.fd'}",
            *drive, "-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci",
            "-netdev", self._network, "-device", "virtio-net-pci,netdev=net,romfile=", "-serial", "stdio",
            "-monitor", f"unix:{self.folder / 'monitor'},server,nowait", *self._devices, *devices,
        ]  # fmt: skip
        errors = (self.folder / "qemu.log").open("ab")
        self._process = spawn(command, stdout=subprocess.PIPE, stderr=errors)
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def switch_off(self) -> None:
        """As if the plug were pulled."""
        if self._process is not None:
            stop(self._process, 0)
            self._process = None

    def until(self, found: Callable[[list[str]], T | None], timeout_s: float, what: str) -> T:
        """What `found` sees first in the lines so far that is not None."""
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while True:
                value = found(self._lines)
                if value is not None:
                    return value
                left = deadline - time.monotonic()
                alive = self._process is not None and self._process.poll() is None
                if left <= 0 or not alive:
                    last = "\n".join(self._lines[-60:])
                    raise AssertionError(f"no {what} within {timeout_s:.0f} s (running: {alive}):\n{last}")
                self._arrived.wait(min(left, 5))

    def event(self, name: str, timeout_s: float, *, after: int = 0) -> dict[str, Any]:
        """The newest event of this name that the agent reported, among the lines from `after` on."""
        return self.until(lambda lines: _event(lines[after:], name), timeout_s, f"event {name}")

    def failed_units(self, *, after: int = 0) -> list[str]:
        """What systemd said on the serial line of units that did not start, among the lines from `after` on."""
        with self._arrived:
            return [line for line in self._lines[after:] if "Failed to start" in line or "FAILED" in line]

    def screenshot(self, path: Path) -> int:
        """What stands on the screen of a machine that was switched on with `SCREEN`, as PNG; returns its bytes."""
        path.unlink(missing_ok=True)
        with self._monitor() as monitor:
            monitor.sendall(f"screendump {path} -f png\n".encode())
            deadline = time.monotonic() + 20
            while not path.exists() or not path.read_bytes().endswith(PNG_END):
                assert time.monotonic() < deadline, "the emulator drew no picture"
                time.sleep(0.2)
        return path.stat().st_size

    def until_drawn(self, path: Path, timeout_s: float) -> None:
        """Until something stands on the screen: an empty one packs to nothing. `path` then has its picture."""
        deadline = time.monotonic() + timeout_s
        while self.screenshot(path) < EMPTY_BYTES:
            assert time.monotonic() < deadline, "the screen stays empty"
            time.sleep(2)

    def press_power(self, times: int) -> None:
        """The power button, as often, half a second between."""
        self._slowly(["system_powerdown"] * times, 0.5)

    def type(self, *keys: str) -> None:
        """Keys of the keyboard by QEMU's names (`a`, `shift-a`, `ret`, `down`), slowly enough for an emulator."""
        for key in keys:
            # A dialog that is still being made hears nothing.
            self._slowly([f"sendkey {key}"], 8 if key == "ret" else 1)

    def since(self, after: int) -> list[str]:
        """The lines from `after` on."""
        with self._arrived:
            return self._lines[after:]

    @property
    def lines(self) -> int:
        """How many lines there were, to look only at what comes after."""
        with self._arrived:
            return len(self._lines)

    @contextlib.contextmanager
    def _monitor(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.folder / "monitor"))
            yield monitor

    def _slowly(self, commands: Sequence[str], pause_s: float) -> None:
        with self._monitor() as monitor:
            for command in commands:
                monitor.sendall(f"{command}\n".encode())
                time.sleep(pause_s)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with (self.folder / "serial.log").open("ab") as log:
            for raw in process.stdout:
                log.write(raw)
                log.flush()
                with self._arrived:
                    self._lines.append(raw.decode("utf-8", "replace").rstrip())
                    self._arrived.notify_all()
        with self._arrived:
            self._arrived.notify_all()


def _event(lines: list[str], name: str) -> dict[str, Any] | None:
    for line in reversed(lines):
        start = line.find('{"event"')
        if start < 0:
            continue
        try:
            found = json.loads(line[start:])
        except ValueError:
            continue
        if isinstance(found, dict) and found.get("event") == name:
            return found
    return None
