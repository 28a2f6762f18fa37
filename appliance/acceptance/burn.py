"""Loads of our own, for machines without stress-ng and stressapptest: bounded, and checking every result."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final

PATTERNS: Final = (b"\x00", b"\xff", b"\x55", b"\xaa")
PIECE_BYTES: Final = 16 << 20
CHAIN: Final = 20_000
"""Hashes in one round, some ten milliseconds."""


def memory_errors(size_bytes: int, allocate: Callable[[int], bytearray] = bytearray) -> int:
    """Bytes that did not keep a pattern, or their own address; `size_bytes` are held at once, in pieces."""
    pieces = [allocate(min(PIECE_BYTES, size_bytes - start)) for start in range(0, size_bytes, PIECE_BYTES)]
    wrong = 0
    for pattern in PATTERNS:
        for piece in pieces:
            piece[:] = pattern * len(piece)
        wrong += sum(len(piece) - piece.count(pattern) for piece in pieces)
    for number, piece in enumerate(pieces):
        piece[:] = _addresses(number, len(piece))
    for number, piece in enumerate(pieces):
        expected = _addresses(number, len(piece))
        if piece != expected:
            wrong += sum(one != other for one, other in zip(piece, expected, strict=True))
    return wrong


def processor_errors(seconds: float, workers: int, chain: Callable[[bytes], bytes] | None = None) -> tuple[int, int]:
    """(rounds, rounds whose result was wrong) over all `workers`, each a process that computes the same chain."""
    expected = (chain or hash_chain)(b"0")
    context = multiprocessing.get_context("fork")
    with context.Pool(workers) as pool:
        results = pool.starmap(_rounds, [(seconds, expected, chain or hash_chain)] * workers)
    return sum(done for done, _wrong in results), sum(wrong for _done, wrong in results)


def hash_chain(start: bytes) -> bytes:
    value = start
    for _ in range(CHAIN):
        value = sha256(value).digest()
    return value


def _rounds(seconds: float, expected: bytes, chain: Callable[[bytes], bytes]) -> tuple[int, int]:
    end_s, done, wrong = time.monotonic() + seconds, 0, 0
    while done == 0 or time.monotonic() < end_s:
        wrong += chain(b"0") != expected
        done += 1
    return done, wrong


def _addresses(number: int, size: int) -> bytes:
    """Bytes that depend on where they are: a line that is stuck shows as another place's content."""
    block = b"".join((number << 40 | offset).to_bytes(8, "little") for offset in range(0, 1 << 16, 8))
    return (block * (size // len(block) + 1))[:size]
