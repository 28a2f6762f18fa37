"""What goes over the helper's socket: one canonical JSON line in, one out.

Canonical: UTF-8, keys sorted, no white space, none twice; so a line has one reading, and what is logged is what was
asked. `{"arguments":{"unit":"k3s.service"},"verb":"restart-unit"}` is answered by `{"answer":{},"ok":true}` or by
`{"code":"rate_limited","error":"…","ok":false,"remedy":"…","retry_after_s":600}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from chain.errors import REGISTRY, DccnError, Faulty, Malformed, Refused, Unavailable

MAX_REQUEST_BYTES: Final = 4096
MAX_ANSWER_BYTES: Final = 256 * 1024
END: Final = b"\n"


@dataclass(frozen=True, slots=True)
class Request:
    """`pin` is the owner's, given by the console alone."""

    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    pin: str | None = None


def write_request(request: Request) -> bytes:
    """Raises Malformed `too_large`."""
    document: dict[str, object] = {"verb": request.verb, "arguments": request.arguments}
    if request.pin is not None:
        document["pin"] = request.pin
    return _write(document, MAX_REQUEST_BYTES)


def read_request(line: bytes) -> Request:
    """Raises Malformed: `too_large`, `non_canonical` or `malformed`."""
    document = _read(line, MAX_REQUEST_BYTES)
    match document:
        case {"verb": str() as verb, "arguments": dict() as arguments, **rest} if not rest.keys() - {"pin"}:
            pin = rest.get("pin")
            if pin is None or isinstance(pin, str):
                return Request(verb, arguments, pin)
    raise Malformed("malformed", 'a request is {"arguments":{…},"verb":"…"}')


def write_answer(answer: Mapping[str, object]) -> bytes:
    return _write({"ok": True, "answer": answer}, MAX_ANSWER_BYTES)


def write_error(error: DccnError) -> bytes:
    document: dict[str, object] = {
        "ok": False,
        "code": error.code,
        "error": error.message[:1000],
        "remedy": error.remedy,
    }
    if error.retry_after_s is not None:
        document["retry_after_s"] = error.retry_after_s
    return _write(document, MAX_ANSWER_BYTES)


def read_answer(line: bytes) -> Mapping[str, Any]:
    """What the verb gave. Raises the error that the line tells, or Malformed when it is no answer."""
    document = _read(line, MAX_ANSWER_BYTES)
    match document:
        case {"ok": True, "answer": dict() as answer}:
            return answer
        case {"ok": False, "code": str() as code, "error": str() as message} if code in REGISTRY:
            raise _error(code, message, document.get("retry_after_s"))
    raise Malformed("malformed", "the helper's answer is none of the two forms")


def _error(code: str, message: str, retry_after_s: object) -> DccnError:
    kind = {"verb_failed": Faulty, "unreachable": Unavailable, "malformed": Malformed}.get(code, Refused)
    error = kind(code, message)
    error.retry_after_s = retry_after_s if isinstance(retry_after_s, int) else None
    return error


def _write(document: Mapping[str, object], limit_bytes: int) -> bytes:
    line = msgspec.json.encode(document, order="sorted") + END
    if len(line) > limit_bytes:
        raise Malformed("too_large", f"the line would have {len(line)} bytes, at most {limit_bytes} are taken")
    return line


def _read(line: bytes, limit_bytes: int) -> dict[str, Any]:
    if len(line) > limit_bytes:
        raise Malformed("too_large", f"the line has more than {limit_bytes} bytes")
    try:
        document = msgspec.json.decode(line)
        canonical = msgspec.json.encode(document, order="sorted") + END
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Malformed("malformed", f"the line is not JSON: {str(error)[:200]}") from None
    if not isinstance(document, dict):
        raise Malformed("malformed", "the line is not a JSON object")
    if canonical != line:
        raise Malformed("non_canonical", "the line is not in canonical form: sorted keys, no white space, one end")
    return document
