"""What the firmware measured as this machine booted: the registers' digest, and the log that explains them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from appliance.agent.tpm.attestation_key import read_pcrs
from appliance.agent.tpm.tools import Tpm
from fleet.protocol.attestation import MAX_EVENT_LOG_BYTES

CREDENTIAL: Final = "tpm-event-log"
LOG_PATH: Final = Path("/sys/kernel/security/tpm0/binary_bios_measurements")


def pcr_digest(tpm: Tpm) -> bytes:
    """SHA-256 over the quoted registers, as a quote has it. Raises Faulty `tpm_failed`."""
    return hashlib.sha256(b"".join(read_pcrs(tpm))).digest()


def event_log() -> bytes:
    """The firmware's log, as systemd hands it to this service (the kernel's file is root's), or from that file.

    Empty where there is none that can be read: the hub then says what it misses.
    """
    handed = os.environ.get("CREDENTIALS_DIRECTORY")
    for path in (*([Path(handed, CREDENTIAL)] if handed else []), LOG_PATH):
        try:
            with path.open("rb") as file:
                return file.read(MAX_EVENT_LOG_BYTES)
        except OSError:
            continue
    return b""
