"""Power keys among the kernel's input devices (evdev), and their presses."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

INPUT: Final = Path("/dev/input")
KEY_POWER: Final = 116
_EV_KEY: Final = 1
_PRESSED: Final = 1
# struct input_event of linux/input.h: two longs of time, type, code, value.
_EVENT: Final = struct.Struct("llHHi")
_KEY_BYTES: Final = 96
_EVIOCGBIT_KEYS: Final = 2 << 30 | _KEY_BYTES << 16 | ord("E") << 8 | 0x20 + _EV_KEY
MAX_EVENTS: Final = 64


def open_power_keys(folder: Path, known: set[str]) -> Iterator[tuple[str, int]]:
    """(name, descriptor) of each device with a power key that is not among `known`."""
    for path in sorted(folder.glob("event*")):
        if path.name in known:
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if _has_power_key(descriptor):
                yield path.name, descriptor
            else:
                os.close(descriptor)


def presses(descriptor: int) -> int:
    """How often the key was pressed since the last reading. Raises OSError when the device is gone."""
    try:
        data = os.read(descriptor, _EVENT.size * MAX_EVENTS)
    except BlockingIOError:
        return 0
    if not data:
        raise OSError("the device is gone")
    whole = len(data) - len(data) % _EVENT.size
    found = _EVENT.iter_unpack(data[:whole])
    return sum((kind, code, value) == (_EV_KEY, KEY_POWER, _PRESSED) for _, _, kind, code, value in found)


def _has_power_key(descriptor: int) -> bool:
    keys = bytearray(_KEY_BYTES)
    fcntl.ioctl(descriptor, _EVIOCGBIT_KEYS, keys)
    return bool(keys[KEY_POWER // 8] & 1 << KEY_POWER % 8)
