"""A time server (SNTP, RFC 4330) on port 123 of the loopback; prints a line for each machine that asks."""

from __future__ import annotations

import socket
import struct
import time

NTP_EPOCH_S = 2_208_988_800  # 1900 to 1970
SERVER, STRATUM, POLL, PRECISION = 0x24, 2, 6, 0xEC
TRANSMITTED = slice(40, 48)
BYTES = 48


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 123))
        while True:
            asked, address = server.recvfrom(512)
            if len(asked) < BYTES:
                continue
            now = timestamp(time.time())
            head = struct.pack(">BBBB8x4s", SERVER, STRATUM, POLL, PRECISION, b"TEST")
            server.sendto(head + now + asked[TRANSMITTED] + now + timestamp(time.time()), address)
            print("asked", flush=True)


def timestamp(unix_s: float) -> bytes:
    whole = int(unix_s)
    return struct.pack(">II", (whole + NTP_EPOCH_S) % 2**32, int((unix_s - whole) * 2**32))


if __name__ == "__main__":
    main()
