"""CometBFT v0.38's RPC JSON of headers, commits and validators, both ways.

Hashes and addresses are upper-case hex, keys and signatures base64, times RFC 3339, 64-bit integers decimal strings.
Readers take numbers as well as strings, and null for an empty hash; anything else raises `malformed` with the field.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chain.errors import Malformed
from chain.wire.header import BlockID, Header, PartSetHeader
from chain.wire.rfc3339 import format_time, parse_time
from chain.wire.validators import Validator, ValidatorSet
from chain.wire.votes import Commit, CommitSig

Json = dict[str, Any]

PUBLIC_KEY_TYPE = "tendermint/PubKeyEd25519"
MAX_VALIDATORS = 10_000
_INTEGER_LIMIT = 1 << 63


@dataclass(frozen=True, slots=True)
class SignedHeader:
    """A header and the commit that decided it."""

    header: Header
    commit: Commit


def block_id_to_json(block_id: BlockID) -> Json:
    return {"hash": _hex(block_id.hash), "parts": {"total": block_id.parts.total, "hash": _hex(block_id.parts.hash)}}


def block_id_from_json(value: object) -> BlockID:
    if value is None:
        return BlockID()
    fields = _mapping(value, "block_id")
    parts = _mapping(fields.get("parts") or {}, "parts")
    return BlockID(_unhex(fields, "hash"), PartSetHeader(_integer(parts, "total"), _unhex(parts, "hash")))


def header_to_json(header: Header) -> Json:
    return {
        "version": {"block": str(header.version_block), "app": str(header.version_app)},
        "chain_id": header.chain_id,
        "height": str(header.height),
        "time": format_time(header.time_ns),
        "last_block_id": block_id_to_json(header.last_block_id),
        **{name: _hex(getattr(header, name)) for name in _HEADER_HASHES},
    }


def header_from_json(value: object) -> Header:
    fields = _mapping(value, "header")
    version = _mapping(fields.get("version"), "version")
    return Header(
        version_block=_integer(version, "block"),
        version_app=_integer(version, "app"),
        chain_id=_text(fields, "chain_id"),
        height=_integer(fields, "height"),
        time_ns=parse_time(fields.get("time")),
        last_block_id=block_id_from_json(fields.get("last_block_id")),
        **{name: _unhex(fields, name) for name in _HEADER_HASHES},
    )


def commit_to_json(commit: Commit) -> Json:
    return {
        "height": str(commit.height),
        "round": commit.round,
        "block_id": block_id_to_json(commit.block_id),
        "signatures": [_signature_to_json(signature) for signature in commit.signatures],
    }


def commit_from_json(value: object) -> Commit:
    fields = _mapping(value, "commit")
    signatures = tuple(_signature_from_json(item) for item in _array(fields, "signatures"))
    block_id = block_id_from_json(fields.get("block_id"))
    return Commit(_integer(fields, "height"), _integer(fields, "round"), block_id, signatures)


def signed_header_to_json(signed: SignedHeader) -> Json:
    return {"header": header_to_json(signed.header), "commit": commit_to_json(signed.commit)}


def signed_header_from_json(value: object) -> SignedHeader:
    fields = _mapping(value, "signed_header")
    return SignedHeader(header_from_json(fields.get("header")), commit_from_json(fields.get("commit")))


def validator_to_json(validator: Validator) -> Json:
    return {
        "address": _hex(validator.address),
        "pub_key": {"type": PUBLIC_KEY_TYPE, "value": base64.b64encode(validator.public).decode()},
        "voting_power": str(validator.power),
        "proposer_priority": "0",
    }


def validator_from_json(value: object) -> Validator:
    """An address, where given, must be that of the key."""
    fields = _mapping(value, "validator")
    key = _mapping(fields.get("pub_key"), "pub_key")
    if key.get("type") != PUBLIC_KEY_TYPE:
        raise Malformed("malformed", f"pub_key type {key.get('type')!r} is not {PUBLIC_KEY_TYPE}")
    public = _unbase64(key, "value")
    if len(public) != 32:
        raise Malformed("malformed", f"a validator's key has 32 bytes, not {len(public)}")
    validator = Validator(public, _integer(fields, "voting_power"))
    if _unhex(fields, "address") not in (b"", validator.address):
        raise Malformed("malformed", f"address {fields['address']} is not that of the validator's key")
    return validator


def validator_set_to_json(validators: ValidatorSet) -> Json:
    return {"validators": [validator_to_json(validator) for validator in validators]}


def validator_set_from_json(value: object) -> ValidatorSet:
    """From `{"validators": […]}` or the array alone, in any order."""
    items = value if isinstance(value, list) else _array(_mapping(value, "validator_set"), "validators")
    if len(items) > MAX_VALIDATORS:
        raise Malformed("too_large", f"{len(items)} validators, the limit is {MAX_VALIDATORS}")
    return ValidatorSet(validator_from_json(item) for item in items)


_HEADER_HASHES = (
    "last_commit_hash",
    "data_hash",
    "validators_hash",
    "next_validators_hash",
    "consensus_hash",
    "app_hash",
    "last_results_hash",
    "evidence_hash",
    "proposer_address",
)


def _signature_to_json(signature: CommitSig) -> Json:
    return {
        "block_id_flag": signature.flag,
        "validator_address": _hex(signature.validator_address),
        "timestamp": format_time(signature.timestamp_ns),
        "signature": base64.b64encode(signature.signature).decode() if signature.signature else None,
    }


def _signature_from_json(value: object) -> CommitSig:
    fields = _mapping(value, "signature")
    address, signature = _unhex(fields, "validator_address"), _unbase64(fields, "signature")
    time_ns = parse_time(fields.get("timestamp") or "0001-01-01T00:00:00Z")
    return CommitSig(_integer(fields, "block_id_flag"), address, time_ns, signature)


def _hex(value: bytes) -> str:
    return value.hex().upper()


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("malformed", f"{name} is not a JSON object")
    return value


def _array(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list):
        raise Malformed("malformed", f"{name} is not a JSON array")
    return value


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise Malformed("malformed", f"{name} is not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Malformed("malformed", f"{name} is not UTF-8 text") from None
    return value


def _integer(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name, 0)
    if type(value) is str and len(value) <= 20 and value.isascii() and value.removeprefix("-").isdigit():
        value = int(value)
    if type(value) is not int or not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        raise Malformed("malformed", f"{name} is not a 64-bit integer")
    return value


def _unhex(fields: Mapping[str, Any], name: str) -> bytes:
    value = fields.get(name)
    if value is None:
        return b""
    try:
        return binascii.unhexlify(value)
    except (ValueError, TypeError):
        raise Malformed("malformed", f"{name} is not hexadecimal") from None


def _unbase64(fields: Mapping[str, Any], name: str) -> bytes:
    value = fields.get(name)
    if value is None:
        return b""
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise Malformed("malformed", f"{name} is not base64") from None
