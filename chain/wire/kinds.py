"""The numbers of the transaction types."""

from __future__ import annotations

from typing import Any

BEACON = 0
TRANSFER = 1
BOND = 3
UNBOND = 4
ADD_KEY = 5
ROTATE_KEY = 6
UNJAIL = 7
DEVICE_REGISTER = 9
PROOF_BATCH = 10
POG_COMMIT = 24
DOUBLE_SIGN = 27
CONTRADICTION = 28

TYPES: dict[int, str] = {
    BEACON: "beacon",
    TRANSFER: "transfer",
    BOND: "bond",
    UNBOND: "unbond",
    ADD_KEY: "add_key",
    ROTATE_KEY: "rotate_key",
    UNJAIL: "unjail",
    DEVICE_REGISTER: "device_register",
    PROOF_BATCH: "proof_batch",
    POG_COMMIT: "pog_commit",
    DOUBLE_SIGN: "double_sign",
    CONTRADICTION: "contradiction",
}

Content = tuple[int, list[Any]]
"""What a builder returns: a transaction's type and body."""
