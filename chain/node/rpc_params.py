"""Parameters of RPC calls, as CometBFT v0.38 reads them from a URI and from JSON.

In a URI, bytes are `0x…` hex or a quoted string taken as it is, text is quoted, numbers and booleans may be. In JSON,
bytes are base64 (`abci_query`'s data: hex), 64-bit integers are strings or numbers.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from chain.errors import Malformed

MAX_INTEGER = (1 << 63) - 1


class Kind(Enum):
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"
    BYTES = "bytes, base64 in JSON"
    HEX = "bytes, hex in JSON"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    kind: Kind
    required: bool = False


Value = int | bool | str | bytes | None


def from_uri(parameters: Sequence[Parameter], query: Mapping[str, str]) -> dict[str, Value]:
    """Values by name out of a query string; what is absent or empty is None. Raises Malformed."""
    return {each.name: _required(each, _from_text(each, query.get(each.name, ""))) for each in parameters}


def from_json(parameters: Sequence[Parameter], given: object) -> dict[str, Value]:
    """Values by name out of JSON-RPC `params`, an object or an array; raises Malformed."""
    if given is None:
        given = {}
    if isinstance(given, list):
        if len(given) > len(parameters):
            raise Malformed("malformed", f"{len(given)} params, expected at most {len(parameters)}")
        given = {each.name: value for each, value in zip(parameters, given, strict=False)}
    if not isinstance(given, dict):
        raise Malformed("malformed", "params are an object or an array")
    return {each.name: _required(each, _from_value(each, given.get(each.name))) for each in parameters}


def _required(parameter: Parameter, value: Value) -> Value:
    if value is None and parameter.required:
        raise Malformed("malformed", f"{parameter.name} is missing")
    return value


def _from_text(parameter: Parameter, text: str) -> Value:
    if text == "":
        return None
    quoted = len(text) >= 2 and text[0] == text[-1] == '"'
    match parameter.kind:
        case Kind.INTEGER:
            return _integer(parameter, text[1:-1] if quoted else text)
        case Kind.BOOLEAN:
            return _boolean(parameter, text[1:-1] if quoted else text)
        case Kind.TEXT if quoted:
            return _unquoted(parameter, text)
        case Kind.BYTES | Kind.HEX if text.lower().startswith("0x"):
            return _hex(parameter, text[2:])
        case Kind.BYTES | Kind.HEX if quoted:
            return _unquoted(parameter, text).encode("utf-8", "surrogatepass")
        case Kind.TEXT:
            raise Malformed("malformed", f'{parameter.name} is text: write {parameter.name}="…"')
    raise Malformed("malformed", f'{parameter.name} is bytes: write {parameter.name}=0x… or {parameter.name}="…"')


def _from_value(parameter: Parameter, value: object) -> Value:
    if value is None or (value == "" and parameter.kind is not Kind.TEXT):
        return None
    match parameter.kind, value:
        case Kind.INTEGER, (int() | str()) if not isinstance(value, bool):
            return _integer(parameter, str(value))
        case Kind.BOOLEAN, bool():
            return value
        case Kind.TEXT, str():
            return value
        case Kind.HEX, str():
            return _hex(parameter, value)
        case Kind.BYTES, str():
            return _base64(parameter, value)
    raise Malformed("malformed", f"{parameter.name} is {parameter.kind.value}, not {type(value).__name__}")


def _integer(parameter: Parameter, text: str) -> int:
    try:
        # int() would also read "1_000" and other scripts' digits.
        value = (
            int(text)
            if text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 21
            else None
        )
    except ValueError:
        value = None
    if value is None or abs(value) > MAX_INTEGER:
        raise Malformed("malformed", f"{parameter.name} is not an integer: {text[:40]!r}")
    return value


def _boolean(parameter: Parameter, text: str) -> bool:
    if text not in ("true", "false"):
        raise Malformed("malformed", f"{parameter.name} is true or false, not {text[:40]!r}")
    return text == "true"


def _unquoted(parameter: Parameter, text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        raise Malformed("malformed", f"{parameter.name} is not a quoted string: {text[:40]!r}") from None
    assert isinstance(value, str)
    return value


def _hex(parameter: Parameter, text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except ValueError:
        raise Malformed("malformed", f"{parameter.name} is not hex: {text[:40]!r}") from None


def _base64(parameter: Parameter, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed("malformed", f"{parameter.name} is not base64: {text[:40]!r}") from None
