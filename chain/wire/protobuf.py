"""Just enough of proto3's wire format for CometBFT's own bytes: deterministic fields out, strict fields in.

Writers return the bytes of one field. As gogoproto does, a scalar that is zero or empty is left out, a message that is
not nullable is always written.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from chain.errors import Malformed

VARINT, FIXED64, BYTES = 0, 1, 2

_SFIXED64 = Struct("<q")
_MASK_64 = (1 << 64) - 1
_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))


def varint(value: int) -> bytes:
    """A base-128 varint; a negative value takes ten bytes, as int32 and int64 do on the wire."""
    if 0 <= value < 0x80:
        return _ONE_BYTE[value]
    value &= _MASK_64
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def integer_field(number: int, value: int) -> bytes:
    """An int32, int64, uint32, uint64 or enum; nothing when zero."""
    return varint(number << 3) + varint(value) if value else b""


def sfixed64_field(number: int, value: int) -> bytes:
    """Eight little-endian bytes; nothing when zero."""
    return varint(number << 3 | FIXED64) + _SFIXED64.pack(value) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """Bytes or UTF-8 text; nothing when empty."""
    return message_field(number, value) if value else b""


def message_field(number: int, encoded: bytes) -> bytes:
    """An embedded message, written even when it is empty."""
    return varint(number << 3 | BYTES) + varint(len(encoded)) + encoded


def delimited(encoded: bytes) -> bytes:
    """The message behind its length, as it is signed and streamed."""
    return varint(len(encoded)) + encoded


def timestamp(time_ns: int) -> bytes:
    """google.protobuf.Timestamp of nanoseconds since the Unix epoch."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return integer_field(1, seconds) + integer_field(2, nanoseconds)


def read_timestamp(data: bytes) -> int:
    fields = Fields(data)
    return fields.integer(1) * 10**9 + fields.integer(2)


class Fields:
    """The fields of one message, read once; raises `malformed` on bytes that are no message.

    Last one wins for scalars, as proto3 says. Whoever needs canonical bytes encodes again and compares.
    """

    __slots__ = ("_values",)

    def __init__(self, data: bytes) -> None:
        self._values: dict[int, list[int | bytes]] = {}
        for number, value in read_fields(data):
            self._values.setdefault(number, []).append(value)

    def integer(self, number: int) -> int:
        """An int64 (0 when absent)."""
        value = self._values.get(number, [0])[-1]
        if not isinstance(value, int):
            raise Malformed("malformed", f"protobuf field {number} is not an integer")
        return value - (1 << 64) if value >> 63 else value

    def binary(self, number: int) -> bytes:
        """Bytes, text or an embedded message (empty when absent)."""
        value = self._values.get(number, [b""])[-1]
        if not isinstance(value, bytes):
            raise Malformed("malformed", f"protobuf field {number} is not length-delimited")
        return value

    def repeated(self, number: int) -> list[bytes]:
        """All values of a repeated field in their order."""
        values = [value for value in self._values.get(number, []) if isinstance(value, bytes)]
        if len(values) != len(self._values.get(number, [])):
            raise Malformed("malformed", f"protobuf field {number} is not length-delimited")
        return values

    def __contains__(self, number: int) -> bool:
        return number in self._values


def read_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and raw values in the order they stand; integers unsigned."""
    position = 0
    while position < len(data):
        key, position = read_varint(data, position)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, position = read_varint(data, position)
            yield number, value
        elif kind == FIXED64:
            yield number, int.from_bytes(_slice(data, position, 8), "little")
            position += 8
        elif kind == BYTES:
            length, position = read_varint(data, position)
            yield number, _slice(data, position, length)
            position += length
        else:
            raise Malformed("malformed", f"protobuf wire type {kind} at byte {position}")


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The varint at `position` and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise Malformed("malformed", "a protobuf varint is cut off")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK_64, position
    raise Malformed("malformed", "a protobuf varint is longer than ten bytes")


def _slice(data: bytes, position: int, length: int) -> bytes:
    if position + length > len(data):
        raise Malformed("malformed", f"a protobuf field of {length} bytes is cut off")
    return bytes(data[position : position + length])
