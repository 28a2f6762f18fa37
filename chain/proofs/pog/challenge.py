"""Whom a PoG challenge asks, and the keys of the two ChaCha20 streams that this determines."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from chain.errors import Malformed
from chain.proofs.pog.profiles import Profile

GPU_NAME_MAX_BYTES = 96
CPU_NAME = "cpu"
"""Stands in the place of an NVML UUID where the processor itself answers."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One device's (and one GPU's) question: `beacon` and `device` are 32 bytes, `gpu` an NVML UUID or "cpu"."""

    profile: Profile
    beacon: bytes
    device: bytes
    gpu: str

    def __post_init__(self) -> None:
        if len(self.beacon) != 32 or len(self.device) != 32:
            raise Malformed("pog_malformed", "beacon and device of a PoG challenge are 32 bytes each")
        if not 1 <= len(self.gpu.encode()) <= GPU_NAME_MAX_BYTES:
            raise Malformed("pog_malformed", f"the GPU's name has 1 to {GPU_NAME_MAX_BYTES} bytes, not {self.gpu!r}")

    @property
    def key_a(self) -> bytes:
        """Key of A's stream: this GPU's own."""
        return sha256(b"dccn/pog/v1/A" + self.beacon + self.device + self.gpu.encode()).digest()

    @property
    def key_b(self) -> bytes:
        """Key of B's stream: common to everybody who answers this beacon."""
        return key_b(self.beacon)


def key_b(beacon: bytes) -> bytes:
    """Key of the stream that gives B for every device answering `beacon`."""
    return sha256(b"dccn/pog/v1/B" + beacon).digest()
