"""The numbers of the transaction types."""

from __future__ import annotations

from typing import Any

BEACON = 0
TRANSFER = 1
MULTI_SEND = 2
BOND = 3
UNBOND = 4
ADD_KEY = 5
ROTATE_KEY = 6
UNJAIL = 7
DATA_CENTER_REGISTER = 8
DEVICE_REGISTER = 9
PROOF_BATCH = 10
METERING_BATCH = 14
DEAL_OPEN = 15
RATE = 16
ROLE = 20
PARAMETER_CHANGE = 21
DONATION = 23
PROOF_CHALLENGE = 11
PROOF_RESPONSE = 12
FRAUD_PROOF = 13
POG_COMMIT = 24
DEAL_TOP_UP = 25
DEAL_SETTLE = 26
DOUBLE_SIGN = 27
CONTRADICTION = 28
DEVICE_REVOKE = 29
MULTISIG_CREATE = 30
MULTISIG_SPEND = 31
MULTISIG_APPROVE = 32
DATA_CENTER_REVOKE = 33
VESTING_RELEASE = 34
BRIDGE_LOCK = 35
BRIDGE_ATTEST = 36
BRIDGE_PAUSE = 37
BRIDGE_GUARDIANS = 38
UPGRADE = 39

TYPES: dict[int, str] = {
    BEACON: "beacon",
    TRANSFER: "transfer",
    MULTI_SEND: "multi_send",
    BOND: "bond",
    UNBOND: "unbond",
    ADD_KEY: "add_key",
    ROTATE_KEY: "rotate_key",
    UNJAIL: "unjail",
    DATA_CENTER_REGISTER: "data_center_register",
    DEVICE_REGISTER: "device_register",
    PROOF_BATCH: "proof_batch",
    PROOF_CHALLENGE: "proof_challenge",
    PROOF_RESPONSE: "proof_response",
    FRAUD_PROOF: "fraud_proof",
    METERING_BATCH: "metering_batch",
    DEAL_OPEN: "deal_open",
    RATE: "rate",
    ROLE: "role",
    PARAMETER_CHANGE: "parameter_change",
    DONATION: "donation",
    POG_COMMIT: "pog_commit",
    DEAL_TOP_UP: "deal_top_up",
    DEAL_SETTLE: "deal_settle",
    DOUBLE_SIGN: "double_sign",
    CONTRADICTION: "contradiction",
    DEVICE_REVOKE: "device_revoke",
    MULTISIG_CREATE: "multisig_create",
    MULTISIG_SPEND: "multisig_spend",
    MULTISIG_APPROVE: "multisig_approve",
    DATA_CENTER_REVOKE: "data_center_revoke",
    VESTING_RELEASE: "vesting_release",
    BRIDGE_LOCK: "bridge_lock",
    BRIDGE_ATTEST: "bridge_attest",
    BRIDGE_PAUSE: "bridge_pause",
    BRIDGE_GUARDIANS: "bridge_guardians",
    UPGRADE: "upgrade",
}

Content = tuple[int, list[Any]]
"""What a builder returns: a transaction's type and body."""
