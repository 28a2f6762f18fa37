"""Light client verification of JSON documents: `dccn light verify`. The rules themselves are in `step`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chain.errors import Malformed
from chain.light.step import LightBlock, TrustedState, TrustOptions, Verdict, verify
from chain.wire.rfc3339 import parse_time
from chain.wire.rpc_json import SignedHeader, signed_header_from_json, validator_set_from_json

__all__ = ["document_of", "parse_document", "verify", "verify_document", "verify_lines"]

LINE_MAX_CHARACTERS = 32 * 1024 * 1024
_THRESHOLD = re.compile(r"(\d{1,18})/(\d{1,18})", re.ASCII)
_DURATION = re.compile(r"\d{1,30}", re.ASCII)


def verify_document(document: object) -> dict[str, str]:
    """`{"verdict": "SUCCESS" | "NOT_ENOUGH_TRUST" | "INVALID", "reason": …}` for a document of interfaces.md.

    `{"trusted": {signed_header, next_validator_set}, "untrusted": {signed_header, validator_set, next_validator_set},
    "now", "trusting_period", "clock_drift", "trust_threshold"}`, with durations in nanoseconds and headers, commits and
    sets in CometBFT v0.38's RPC JSON. Malformed `malformed` names the member that cannot be read.
    """
    fields = _object(document, "the document")
    trusted, untrusted = _object(fields.get("trusted"), "trusted"), _object(fields.get("untrusted"), "untrusted")
    state = TrustedState(_signed_header(trusted, "trusted"), validator_set_from_json(trusted.get("next_validator_set")))
    next_set = untrusted.get("next_validator_set")
    block = LightBlock(
        _signed_header(untrusted, "untrusted"),
        validator_set_from_json(untrusted.get("validator_set")),
        None if next_set is None else validator_set_from_json(next_set),
    )
    options = TrustOptions(
        _duration(fields, "trusting_period"),
        _duration(fields, "clock_drift"),
        _threshold(fields.get("trust_threshold")),
    )
    return document_of(verify(state, block, parse_time(fields.get("now")), options))


def verify_lines(lines: Iterable[str | bytes]) -> Iterator[dict[str, str]]:
    """One verdict per line; a line that cannot be read gives `{"verdict": "MALFORMED", "reason": …}` in its place."""
    for line in lines:
        try:
            yield verify_document(parse_document(line))
        except (
            Malformed,
            ValueError,
        ) as error:  # ValueError: text that JSON allows and UTF-8 does not, such as "\\ud800"
            yield {"verdict": "MALFORMED", "reason": error.message if isinstance(error, Malformed) else str(error)}


def parse_document(text: str | bytes) -> object:
    """The JSON value of `text`; Malformed `malformed` or `too_large`."""
    if len(text) > LINE_MAX_CHARACTERS:
        raise Malformed("too_large", f"{len(text)} characters of JSON, the limit is {LINE_MAX_CHARACTERS}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed("malformed", f"not JSON: {error}") from None


def document_of(verdict: Verdict) -> dict[str, str]:
    return {"verdict": verdict.outcome, "reason": verdict.reason}


def _signed_header(fields: Mapping[str, Any], name: str) -> SignedHeader:
    """Also takes `part_set_header` for `parts`, and null for no signatures, as tendermint-rs' vectors have it."""
    signed = dict(_object(fields.get("signed_header"), f"{name}.signed_header"))
    header = dict(_object(signed.get("header"), f"{name}.signed_header.header"))
    commit = dict(_object(signed.get("commit"), f"{name}.signed_header.commit"))
    header["last_block_id"] = _with_parts(header.get("last_block_id"))
    commit["block_id"] = _with_parts(commit.get("block_id"))
    if commit.get("signatures") is None:
        commit["signatures"] = []
    return signed_header_from_json({"header": header, "commit": commit})


def _with_parts(block_id: object) -> object:
    if isinstance(block_id, dict) and "parts" not in block_id and "part_set_header" in block_id:
        return {**block_id, "parts": block_id["part_set_header"]}
    return block_id


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("malformed", f"{name} is not a JSON object")
    return value


def _duration(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is int and value >= 0:
        return value
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise Malformed("malformed", f"{name} is not a number of nanoseconds from 0 on")
    return int(value)


def _threshold(value: object) -> tuple[int, int]:
    """From 1/3, below which a minority could deceive, to 1."""
    match = _THRESHOLD.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Malformed("malformed", f"trust_threshold {value!r} is not a fraction such as 1/3")
    numerator, denominator = int(match[1]), int(match[2])
    if not denominator or numerator * 3 < denominator or numerator > denominator:
        raise Malformed("malformed", f"trust_threshold {value} is not between 1/3 and 1")
    return numerator, denominator
