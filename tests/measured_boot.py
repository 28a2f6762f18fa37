"""A boot as firmware measures it: the event log, written from the specification, and the registers it leads to."""

from __future__ import annotations

import hashlib
import struct
import subprocess
from dataclasses import dataclass, field
from os import environ

from fleet.protocol.measured_image import MeasuredImage

SHA1, SHA256 = 0x0004, 0x000B
ACTION, SEPARATOR, IPL = 0x80000007, 0x00000004, 0x0000000D
VARIABLE, APPLICATION = 0x80000001, 0x80000003


@dataclass
class Boot:
    """Measurements in their order: (register, kind, what is hashed, the event's data)."""

    steps: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)

    def measure(self, pcr: int, kind: int, data: bytes, *, digest: bytes | None = None) -> None:
        """Firmware hashes the data itself, or (programs) something that the data only names."""
        self.steps.append((pcr, kind, digest or hashlib.sha256(data).digest(), data))

    @property
    def log(self) -> bytes:
        algorithms = struct.pack("<IHHHH", 2, SHA1, 20, SHA256, 32)
        spec = b"Spec ID Event03\0" + struct.pack("<IBBBB", 0, 0, 2, 0, 2) + algorithms + b"\0"
        head = struct.pack("<II20sI", 0, 3, bytes(20), len(spec)) + spec
        return head + b"".join(
            struct.pack("<III", pcr, kind, 2)
            + struct.pack("<H", SHA1)
            + hashlib.sha1(digest).digest()
            + struct.pack("<H", SHA256)
            + digest
            + struct.pack("<I", len(data))
            + data
            for pcr, kind, digest, data in self.steps
        )

    def register(self, number: int) -> bytes:
        value = bytes(32)
        for pcr, _kind, digest, _data in self.steps:
            if pcr == number:
                value = hashlib.sha256(value + digest).digest()
        return value

    def replay_into(self, tcti: str) -> None:
        """Extend an emulator's registers as the firmware does."""
        words = [f"{pcr}:sha256={digest.hex()}" for pcr, _kind, digest, _data in self.steps]
        subprocess.run(["tpm2", "pcrextend", *words], check=True, env={**environ, "TPM2TOOLS_TCTI": tcti})


def boot_of(image: MeasuredImage, *, secure_boot: bool = False, command_line: str | None = None) -> Boot:
    """What UEFI, systemd-boot and systemd's stub measure when this image starts."""
    boot = Boot()
    boot.measure(7, VARIABLE, uefi_variable("SecureBoot", b"\1" if secure_boot else b"\0"))
    boot.measure(4, ACTION, b"Calling EFI Application from Boot Option")
    boot.measure(4, SEPARATOR, bytes(4))
    boot.measure(7, SEPARATOR, bytes(4))
    for name in ("boot_loader", "kernel_image"):
        boot.measure(4, APPLICATION, b"device path", digest=image.applications[name])
    for section, digest in image.sections.items():
        boot.measure(11, IPL, section.encode() + b"\0")
        boot.measure(11, IPL, section.encode("utf-16-le") + b"\0\0", digest=digest)
    line = image.command_line if command_line is None else command_line
    boot.measure(12, IPL, line.encode("utf-16-le") + b"\0\0")
    boot.measure(4, APPLICATION, b"device path", digest=image.applications["kernel"])
    return boot


def uefi_variable(name: str, value: bytes) -> bytes:
    """UEFI_VARIABLE_DATA."""
    return bytes(16) + struct.pack("<QQ", len(name), len(value)) + name.encode("utf-16-le") + value


def some_image(name: str = "test 1", command_line: str = "ro quiet dccn.roothash=00") -> MeasuredImage:
    """An image that nobody built, but whose registers add up."""
    parts = {".linux": b"kernel " + name.encode(), ".osrel": b"ID=dccn", ".cmdline": command_line.encode() + b"\0"}
    sections = {section: hashlib.sha256(content).digest() for section, content in parts.items()}
    register = bytes(32)
    for section, digest in sections.items():
        for measured in (hashlib.sha256(section.encode() + b"\0").digest(), digest):
            register = hashlib.sha256(register + measured).digest()
    applications = {
        each: hashlib.sha256(f"{each} {name}".encode()).digest() for each in ("boot_loader", "kernel_image", "kernel")
    }
    return MeasuredImage(name, register, sections, applications, command_line)
