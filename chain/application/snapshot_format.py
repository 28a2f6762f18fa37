"""A snapshot's bytes, format 1: a manifest, and chunks of sorted records whose hashes it names.

```
manifest  canonical CBOR [1, chain, height, app_hash, time_ns, records, [[bytes, SHA-256] of each chunk, …]]
chunk     records; record = table (1 byte) ‖ bytes of key (2) ‖ bytes of value (4) ‖ key ‖ value, big-endian
```
`chain` is the store's `[chain_id, genesis_hash]`. Records ascend strictly by (table, key) over all chunks. Nothing is
compressed, so what is received is what it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct

from chain.errors import Malformed
from chain.wire import cbor

FORMAT = 1
TABLES = ("state", "beacon", "rotation")
CHUNK_BYTES = 2 * 1024 * 1024
"""A chunk is closed before it would grow over this; only a single larger record does."""

MAX_CHUNK_BYTES = 4 * 1024 * 1024
MAX_CHUNKS = 16_384
MAX_MANIFEST_BYTES = 1024 * 1024
# LMDB's own limit.
MAX_KEY_BYTES = 511

_HEAD = Struct(">BHI")
_HASH_BYTES = 32

Record = tuple[str, bytes, bytes]
"""Table, key, value."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot says it is; `chunks` are (bytes, SHA-256)."""

    chain: bytes
    height: int
    app_hash: bytes
    time_ns: int
    records: int
    chunks: tuple[tuple[int, bytes], ...]

    def encode(self) -> bytes:
        chunks = [[size, digest] for size, digest in self.chunks]
        return cbor.encode([FORMAT, self.chain, self.height, self.app_hash, self.time_ns, self.records, chunks])

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """The inverse of `encode`; raises Malformed for whatever cannot be a snapshot, sizes and counts included."""
        fields = cbor.decode(data, MAX_MANIFEST_BYTES)
        try:
            number, chain, height, app_hash, time_ns, records, rows = fields
            chunks = tuple((size, digest) for size, digest in rows)
        except (TypeError, ValueError):
            raise Malformed("malformed", "a snapshot's manifest has seven fields and pairs for chunks") from None
        numbers = (number, height, time_ns, records, *(size for size, _ in chunks))
        texts = (chain, app_hash, *(digest for _, digest in chunks))
        if not all(type(each) is int for each in numbers) or not all(type(each) is bytes for each in texts):
            raise Malformed("malformed", "a snapshot's manifest has a field of another type")
        sizes = [size for size, _ in chunks]
        if (
            number != FORMAT
            or not 0 < height < 1 << 63
            or not 0 <= time_ns < 1 << 63
            or not 0 < len(chunks) <= MAX_CHUNKS
            or not all(0 < size <= MAX_CHUNK_BYTES for size in sizes)
            or not all(len(digest) == _HASH_BYTES for digest in (app_hash, *(digest for _, digest in chunks)))
            or not 0 < records <= sum(sizes) // _HEAD.size
        ):
            raise Malformed("malformed", "a snapshot's manifest has a value out of its range")
        return cls(chain, height, app_hash, time_ns, records, chunks)


def chunks_of(records: Iterable[Record]) -> Iterator[bytes]:
    """The chunks of sorted records; raises Malformed `too_large` for one that fits into none."""
    chunk = bytearray()
    for table, key, value in records:
        size = _HEAD.size + len(key) + len(value)
        if size > MAX_CHUNK_BYTES or len(key) > MAX_KEY_BYTES:
            raise Malformed("too_large", f"a record of {size} bytes does not fit into a snapshot's chunk")
        if chunk and len(chunk) + size > CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
        chunk += _HEAD.pack(TABLES.index(table), len(key), len(value))
        chunk += key
        chunk += value
    if chunk:
        yield bytes(chunk)


def records_of(chunks: Iterable[bytes]) -> Iterator[Record]:
    """The records of chunks in their order; raises Malformed unless they are whole and ascend strictly."""
    last: tuple[int, bytes] = (-1, b"")
    for chunk in chunks:
        position = 0
        while position < len(chunk):
            start = position + _HEAD.size
            if start > len(chunk):
                raise Malformed("malformed", "a record's head is cut off")
            table, key_bytes, value_bytes = _HEAD.unpack_from(chunk, position)
            position = start + key_bytes + value_bytes
            if position > len(chunk):
                raise Malformed("malformed", f"a record of {key_bytes} and {value_bytes} bytes is cut off")
            key = chunk[start : start + key_bytes]
            if not key or key_bytes > MAX_KEY_BYTES or table >= len(TABLES):
                raise Malformed("malformed", f"no key of {key_bytes} bytes in table {table} can be")
            if (table, key) <= last:
                raise Malformed("malformed", "records of a snapshot do not ascend")
            last = (table, key)
            yield TABLES[table], key, chunk[start + key_bytes : position]


def digest_of(chunk: bytes) -> bytes:
    return sha256(chunk).digest()
