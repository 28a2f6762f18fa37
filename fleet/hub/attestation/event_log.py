"""The firmware's log of what it measured, and the registers that follow from it.

Source: TCG PC Client Platform Firmware Profile, chapters 10 and 11: one event in the old format that describes the log
("Spec ID Event03"), then events with a digest of each bank. A log proves nothing by itself: whoever sends it can write
what they like, until replaying its digests gives the registers that a TPM signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from fleet.hub.attestation.public_area import ALG_SHA256
from fleet.hub.attestation.reading import Reading

NO_ACTION: Final = 0x00000003
SEPARATOR: Final = 0x00000004
IPL: Final = 0x0000000D
VARIABLE_DRIVER_CONFIG: Final = 0x80000001
BOOT_SERVICES_APPLICATION: Final = 0x80000003
_SIGNATURE: Final = b"Spec ID Event03\0"
_ALGORITHMS_MAX: Final = 8
_DIGEST_MAX: Final = 64
_EVENT_MAX: Final = 64 * 1024
_EVENTS_MAX: Final = 4_096
_PCR_MAX: Final = 23


@dataclass(frozen=True, slots=True)
class Event:
    """`digest` (SHA-256) went into the register; `data` only explains it, unless the digest is that of the data."""

    pcr: int
    kind: int
    digest: bytes
    data: bytes

    @property
    def is_of_its_data(self) -> bool:
        return hashlib.sha256(self.data).digest() == self.digest


def parse(log: bytes) -> list[Event]:
    """The events in their order. Raises Malformed `attestation_invalid`."""
    r = Reading(log, "event log", little_endian=True)
    sizes = _description(r)
    events: list[Event] = []
    while r.left:
        pcr, kind = r.number(4), r.number(4)
        if (pcr, kind) == (0xFFFFFFFF, 0xFFFFFFFF):
            break  # what the firmware left unused of its buffer
        if pcr > _PCR_MAX or len(events) >= _EVENTS_MAX:
            r.refuse(f"has an event for register {pcr}, or more than {_EVENTS_MAX} events")
        digest = _digest(r, sizes)
        events.append(Event(pcr, kind, digest, r.sized(_EVENT_MAX, width=4)))
    return events


def replay(events: Iterable[Event], pcr: int) -> bytes:
    """The register after these events: each extends it by its digest."""
    value = bytes(32)
    for event in events:
        if event.pcr == pcr and event.kind != NO_ACTION:
            value = hashlib.sha256(value + event.digest).digest()
    return value


def secure_boot(events: Iterable[Event]) -> bool:
    """Whether the firmware measured that Secure Boot is on; False where it says nothing that its digest covers."""
    for name, value in _variables(events):
        if name == "SecureBoot":
            return value == b"\x01"
    return False


def _variables(events: Iterable[Event]) -> Iterator[tuple[str, bytes]]:
    """(name, value) of the UEFI variables that were measured into register 7: UEFI_VARIABLE_DATA."""
    for event in events:
        if event.pcr != 7 or event.kind != VARIABLE_DRIVER_CONFIG or not event.is_of_its_data:
            continue
        r = Reading(event.data, "event of a UEFI variable", little_endian=True)
        r.octets(16)  # the variable's vendor
        characters, size = r.number(8), r.number(8)
        if characters * 2 > r.left:
            r.refuse("has a name longer than itself")
        name = r.octets(characters * 2).decode("utf-16-le", "replace")
        yield name, r.octets(min(size, r.left))


def _description(r: Reading) -> dict[int, int]:
    """Digest sizes by algorithm, from the log's first event."""
    pcr, kind = r.number(4), r.number(4)
    r.octets(20)  # a digest of SHA-1, always zero
    data = r.sized(1_024, width=4)
    if pcr != 0 or kind != NO_ACTION or not data.startswith(_SIGNATURE):
        r.refuse("does not begin with the crypto-agile format's description")
    spec = Reading(data[len(_SIGNATURE) + 8 :], "event log's description", little_endian=True)
    count = spec.number(4)
    if not 0 < count <= _ALGORITHMS_MAX:
        spec.refuse(f"names {count} algorithms")
    sizes = {spec.number(2): spec.number(2) for _ in range(count)}
    if sizes.get(ALG_SHA256) != 32 or any(not 0 < size <= _DIGEST_MAX for size in sizes.values()):
        spec.refuse("has no bank of SHA-256")
    return sizes


def _digest(r: Reading, sizes: dict[int, int]) -> bytes:
    """The SHA-256 among an event's digests."""
    found = b""
    count = r.number(4)
    if count > len(sizes):
        r.refuse(f"has an event with {count} digests, {len(sizes)} are described")
    for _ in range(count):
        algorithm = r.number(2)
        if algorithm not in sizes:
            r.refuse(f"has a digest by {algorithm:#06x}, which it does not describe")
        digest = r.octets(sizes[algorithm])
        if algorithm == ALG_SHA256:
            found = digest
    if not found:
        r.refuse("has an event without a digest by SHA-256")
    return found
