"""Times as Go writes them in JSON (RFC 3339 with up to nine decimals), to and from integer nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from chain.errors import Malformed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHAPE = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def format_time(time_ns: int) -> str:
    """Nanoseconds since the Unix epoch in UTC, without trailing zeros in the fraction.

    Raises `malformed` outside the years 1 to 9999.
    """
    seconds, nanoseconds = divmod(time_ns, 10**9)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise Malformed("malformed", f"{time_ns} ns is outside the calendar") from None
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    clock = f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
    return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T{clock}{fraction}Z"


def parse_time(text: object) -> int:
    """Nanoseconds since the Unix epoch; raises `malformed`."""
    match = _SHAPE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Malformed("malformed", f"{text!r} is not an RFC 3339 time")
    date, clock, fraction, offset = match.groups()
    zone = "+00:00" if offset in "Zz" else offset
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{zone}") - _EPOCH
    except (ValueError, OverflowError):
        raise Malformed("malformed", f"{text!r} is not a date of the calendar") from None
    return (moment.days * 86_400 + moment.seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))
