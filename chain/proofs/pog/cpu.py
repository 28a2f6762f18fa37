"""The product on a CPU through numpy's BLAS, exact."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from chain.crypto.merkle import leaf_hash
from chain.proofs.pog.backend import Multiplier
from chain.proofs.pog.challenge import Challenge
from chain.proofs.pog.streams import stream_rows

CHUNK = 1_024
"""Sums of at most 1024 products of two int8 stay within 2^24, where float32 holds every integer: exact in any order."""

BLOCK_BYTES = 2 * 1024 * 1024
"""A worker generates A's rows by blocks of about this size: it stays in the cache, and memory is bounded."""


class CpuBackend:
    """float32 products in chunks of K, added up as int32; blocks of rows are spread over `workers` threads."""

    name = "cpu"

    def __init__(self, workers: int | None = None) -> None:
        """`workers` defaults to the processors that this process may use."""
        self._workers = workers or len(os.sched_getaffinity(0))

    def prepare(self, challenge: Challenge) -> Multiplier:
        return CpuMultiplier(challenge, self._workers)


class CpuMultiplier:
    """Holds B as float32: 4·K·w bytes (8 MiB for `light`). Its threads end with it."""

    def __init__(self, challenge: Challenge, workers: int) -> None:
        profile = challenge.profile
        self._profile = profile
        self._key_a = challenge.key_a
        self._worker_rows = max(16, BLOCK_BYTES // profile.inner)
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="pog")
        self._b = stream_rows(challenge.key_b, range(profile.inner), profile.width).astype(np.float32)

    @property
    def block_rows(self) -> int:
        return self._worker_rows * self._workers

    def leaf_hashes(self, first: int, count: int) -> bytes:
        end = first + count
        blocks = [range(at, min(at + self._worker_rows, end)) for at in range(first, end, self._worker_rows)]
        return b"".join(self._pool.map(self._hashes_of_block, blocks))

    def rows(self, indices: Sequence[int]) -> list[bytes]:
        return [row.tobytes() for row in self._product(indices)]

    def _hashes_of_block(self, rows: range) -> bytes:
        return b"".join([leaf_hash(row.tobytes()) for row in self._product(rows)])

    def _product(self, indices: Sequence[int] | range) -> NDArray[np.int32]:
        a = stream_rows(self._key_a, indices, self._profile.inner)
        c = np.zeros((len(indices), self._profile.width), dtype="<i4")
        for start in range(0, self._profile.inner, CHUNK):
            part = a[:, start : start + CHUNK].astype(np.float32) @ self._b[start : start + CHUNK]
            c += part.astype(np.int32)
        return c
