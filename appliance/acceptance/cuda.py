"""The memory of an NVIDIA card, filled with patterns and read back through the driver's own library: no compiler."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from chain.errors import Faulty, Unavailable

PATTERNS: Final = (0x00000000, 0xFFFFFFFF, 0x55555555, 0xAAAAAAAA, 0x12345678)
PIECE_BYTES: Final = 256 << 20
LIBRARY: Final = "libcuda.so.1"


def load_library() -> Any:
    """Raises Unavailable `engine_missing`."""
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise Unavailable("engine_missing", f"loading {LIBRARY}: {error}") from None


def memory_errors(card: str, part: float, library: Any) -> tuple[int, int]:
    """(bytes that were tried, bytes that came back wrong) of `part` of the free memory of the card at a PCI address.

    Raises Faulty `check_failed` when the driver refuses a step, which a card that fails does.
    """
    tried = wrong = 0
    with _context(card, library):
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        _call(library, "cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        pieces = [PIECE_BYTES] * int(free.value * part // PIECE_BYTES)
        held = []
        try:
            for size in pieces:
                address = ctypes.c_uint64()
                _call(library, "cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
                held.append(address)
            for pattern in PATTERNS:
                wrong += _pattern_errors(library, held, pattern)
            tried = sum(pieces)
        finally:
            for address in held:
                _call(library, "cuMemFree_v2", address)
    return tried, wrong


def _pattern_errors(library: Any, held: list[ctypes.c_uint64], pattern: int) -> int:
    """Everything is written before anything is read, so that what overwrites another place is seen."""
    for address in held:
        words = ctypes.c_size_t(PIECE_BYTES // 4)
        _call(library, "cuMemsetD32_v2", address, ctypes.c_uint32(pattern), words)
    expected = pattern.to_bytes(4, "little")
    back = ctypes.create_string_buffer(PIECE_BYTES)
    wrong = 0
    for address in held:
        _call(library, "cuMemcpyDtoH_v2", back, address, ctypes.c_size_t(PIECE_BYTES))
        if back.raw != expected * (PIECE_BYTES // 4):
            wrong += sum(one != expected[place % 4] for place, one in enumerate(back.raw))
    return wrong


@contextmanager
def _context(card: str, library: Any) -> Iterator[None]:
    device, context = ctypes.c_int(), ctypes.c_void_p()
    _call(library, "cuInit", ctypes.c_uint(0))
    _call(library, "cuDeviceGetByPCIBusId", ctypes.byref(device), card.encode())
    _call(library, "cuCtxCreate_v2", ctypes.byref(context), ctypes.c_uint(0), device)
    try:
        yield
    finally:
        _call(library, "cuCtxDestroy_v2", context)


def _call(library: Any, name: str, *arguments: Any) -> None:
    result = getattr(library, name)(*arguments)
    if result != 0:
        raise Faulty("check_failed", f"the card's driver answers {name} with error {result}")
