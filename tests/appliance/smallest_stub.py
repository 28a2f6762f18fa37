"""The smallest PE file with one section that a firmware would take, in place of systemd's stub."""

from __future__ import annotations

import struct


def stub(header_bytes: int = 1024) -> bytes:
    head = bytearray(header_bytes)
    head[:2], head[0x3C:0x40] = b"MZ", struct.pack("<I", 0x80)
    head[0x80:0x84] = b"PE\0\0"
    struct.pack_into("<H", head, 0x86, 1)
    struct.pack_into("<I", head, 0x88, 1234567)
    struct.pack_into("<H", head, 0x94, 240)
    struct.pack_into("<II", head, 0x98 + 32, 512, 512)
    struct.pack_into("<8sIIII", head, 0x98 + 240, b".text", 512, 4096, 512, header_bytes)
    return bytes(head) + b"\x90" * 512
