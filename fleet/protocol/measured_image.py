"""What a genuine boot of one image leaves in a TPM, as the image's builder computes it and the hub looks it up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chain.errors import Malformed

APPLICATIONS: Final = ("boot_loader", "kernel_image", "kernel")
"""The programs that the firmware measures into PCR 4 as they are started."""


@dataclass(frozen=True, slots=True)
class MeasuredImage:
    """`name` is `profile version`; digests are SHA-256.

    - `pcr11`: the register after the stub measured every section of the kernel image.
    - `sections`: what it measured, by the section's name, to say which one differs.
    - `applications`: Authenticode digests by the names in `APPLICATIONS`.
    - `command_line`: the kernel's, which the boot loader measures once more.
    """

    name: str
    pcr11: bytes
    sections: Mapping[str, bytes]
    applications: Mapping[str, bytes]
    command_line: str

    @property
    def command_line_digest(self) -> bytes:
        """How it is measured: as the UEFI text with its closing zero."""
        return hashlib.sha256(self.command_line.encode("utf-16-le") + b"\0\0").digest()

    def document(self) -> dict[str, Any]:
        """For JSON: digests in hex."""
        return {
            "name": self.name,
            "pcr11": self.pcr11.hex(),
            "sections": {name: digest.hex() for name, digest in self.sections.items()},
            "applications": {name: digest.hex() for name, digest in self.applications.items()},
            "command_line": self.command_line,
        }

    @classmethod
    def from_document(cls, document: object) -> MeasuredImage:
        """Raises Malformed."""
        match document:
            case {
                "name": str(name),
                "pcr11": str(pcr11),
                "sections": dict(sections),
                "applications": dict(applications),
                "command_line": str(command_line),
            } if set(applications) == set(APPLICATIONS) and 0 < len(name) <= 128:
                try:
                    return cls(name, _digest(pcr11), _digests(sections), _digests(applications), command_line)
                except (ValueError, TypeError):
                    pass
        raise Malformed("malformed", "this is not {name, pcr11, sections, applications, command_line} of an image")

    @classmethod
    def from_json(cls, data: bytes) -> MeasuredImage:
        """From such a document, or from the JSON beside a built image, which has it under `measured`."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            raise Malformed("malformed", "this is no JSON document") from None
        return cls.from_document(document.get("measured", document) if isinstance(document, dict) else document)


def _digests(texts: Mapping[object, object]) -> dict[str, bytes]:
    return {str(name): _digest(text) for name, text in texts.items()}


def _digest(text: object) -> bytes:
    data = bytes.fromhex(text) if isinstance(text, str) else b""
    if len(data) != hashlib.sha256().digest_size:
        raise ValueError("a SHA-256 digest has 32 bytes")
    return data
