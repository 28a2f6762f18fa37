"""What booting an image will leave in a TPM, computed from the image's own bytes.

Sources: systemd-stub(7) and systemd-measure(1) of systemd 252 (register 11); Microsoft's "Windows Authenticode Portable
Executable Signature Format" (the digest that the firmware measures into register 4 for each program it starts).
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from appliance import uki
from chain.errors import Malformed
from fleet.protocol.measured_image import MeasuredImage

MEASURED_SECTIONS: Final = (".linux", ".osrel", ".cmdline", ".initrd", ".splash", ".dtb", ".pcrpkey")
"""In the stub's order, whatever their order in the file. What it does not know, such as .uname, it does not measure."""
_CERTIFICATE_TABLE: Final = 4
_PE32_PLUS: Final = 0x20B


def measure(name: str, kernel_image: bytes, boot_loader: bytes) -> MeasuredImage:
    """The registers of a genuine boot. Raises Malformed for what is no unified kernel image."""
    present = measured_sections(kernel_image)
    if ".linux" not in present or ".cmdline" not in present:
        raise Malformed("malformed", "this kernel image has no kernel or no command line")
    return MeasuredImage(
        name=name,
        pcr11=pcr11(present),
        sections={section: hashlib.sha256(content).digest() for section, content in present.items()},
        applications={
            "boot_loader": authenticode(boot_loader),
            "kernel_image": authenticode(kernel_image),
            "kernel": authenticode(present[".linux"]),
        },
        command_line=present[".cmdline"].rstrip(b"\0").decode("utf-8"),
    )


def measured_sections(kernel_image: bytes) -> dict[str, bytes]:
    """What the stub will measure of a kernel image, by section. Raises Malformed for what is no PE file."""
    contents = {section: uki.content(kernel_image, section) for section in MEASURED_SECTIONS}
    return {section: content for section, content in contents.items() if content is not None}


def pcr11(sections: dict[str, bytes]) -> bytes:
    """The register after the stub measured each section: its name with the closing zero, then its content."""
    value = bytes(32)
    for section in MEASURED_SECTIONS:
        if section in sections:
            for measured in (section.encode() + b"\0", sections[section]):
                value = hashlib.sha256(value + hashlib.sha256(measured).digest()).digest()
    return value


def authenticode(program: bytes) -> bytes:
    """SHA-256 of a PE file without its checksum and its signatures, so that signing does not change it.

    Raises Malformed for what is no 64-bit PE file.
    """
    uki.sections_of(program)
    (at,) = struct.unpack_from("<I", program, 0x3C)
    optional = at + 24
    (magic,) = struct.unpack_from("<H", program, optional)
    if magic != _PE32_PLUS:
        raise Malformed("malformed", "this is no PE file for 64-bit machines")
    checksum, directory = optional + 64, optional + 112 + _CERTIFICATE_TABLE * 8
    (header_bytes,) = struct.unpack_from("<I", program, optional + 60)
    signatures_at, signature_bytes = struct.unpack_from("<II", program, directory)
    hashed = hashlib.sha256(program[:checksum])
    hashed.update(program[checksum + 4 : directory])
    hashed.update(program[directory + 8 : header_bytes])
    read = header_bytes
    for section in sorted(uki.sections_of(program), key=lambda each: each.offset):
        if section.raw_bytes:
            hashed.update(program[section.offset : section.offset + section.raw_bytes])
            read += section.raw_bytes
    end = signatures_at if signature_bytes else len(program)
    hashed.update(program[read:end])
    return hashed.digest()
