"""Rows of A and B: the first bytes of ChaCha20 key streams, read as int8."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

Int8Matrix = NDArray[np.int8]


def stream_rows(key: bytes, indices: Sequence[int] | range, row_bytes: int) -> Int8Matrix:
    """Matrix of len(indices) x row_bytes: row i is the stream from block counter 0 with nonce words (0, lo(i), hi(i)).

    `cryptography` takes counter and nonce as 16 bytes: the 64-bit little-endian words 0 and i.
    """
    zeros = bytes(row_bytes)
    buffer = bytearray(len(indices) * row_bytes)
    view = memoryview(buffer)
    for position, index in enumerate(indices):
        encryptor = Cipher(algorithms.ChaCha20(key, struct.pack("<QQ", 0, index)), None).encryptor()
        encryptor.update_into(zeros, view[position * row_bytes : (position + 1) * row_bytes])
    return np.frombuffer(buffer, dtype=np.int8).reshape(len(indices), row_bytes)
