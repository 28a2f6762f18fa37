"""Numbers as people read them: the filters of the templates. Unknown is a dash, never a zero."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

UNKNOWN: Final = "–"
THIN: Final = "\u202f"
"""Narrow no-break space between groups of digits."""
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DECIMAL: Final = ("", "k", "M", "G", "T", "P", "E")


def grouped(value: int | None) -> str:
    """12345678 → 12 345 678."""
    return UNKNOWN if value is None else f"{value:,}".replace(",", THIN)


def ankr(text: str | None, digits: int = 2) -> str:
    """A decimal amount, cut (never rounded up) to `digits` places: 1234.5678 → 1 234.56."""
    if not text:
        return UNKNOWN
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return UNKNOWN
    whole, _, fraction = f"{amount:f}".partition(".")
    fraction = fraction[:digits].rstrip("0")
    if whole == "0" and not fraction and amount:
        return "< 0." + "0" * (digits - 1) + "1"
    return grouped(int(whole)) + (f".{fraction}" if fraction else "")


def memory(value: int | None) -> str:
    """Bytes in binary units: 16 767 430 656 → 15.6 GiB."""
    if value is None:
        return UNKNOWN
    number, unit = float(value), 0
    while number >= 1024 and unit < len(_BINARY) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.0f} {_BINARY[unit]}" if unit == 0 or number >= 100 else f"{number:.1f} {_BINARY[unit]}"


def part_of(used: int | None, whole: int | None) -> str:
    """Used of whole bytes, the unit said once: 4.5 of 15.6 GiB."""
    if used is None or whole is None:
        return UNKNOWN
    number, unit = memory(used).split(), memory(whole).split()
    return f"{number[0] if number[1] == unit[1] else ' '.join(number)} of {' '.join(unit)}"


def rate(value: int | None) -> str:
    """Operations per second in decimal units: 83 400 000 000 → 83.4 Gop/s."""
    if value is None:
        return UNKNOWN
    number, unit = float(value), 0
    while number >= 1000 and unit < len(_DECIMAL) - 1:
        number, unit = number / 1000, unit + 1
    digits = 0 if number >= 100 or unit == 0 else 1
    return f"{number:.{digits}f} {_DECIMAL[unit]}op/s"


def measure(value: float | None, unit: str) -> str:
    """What a sensor says, rounded: 41.5 → 42 %."""
    return UNKNOWN if value is None else f"{value:.0f}{unit}"


def ago(then_ms: int | None, now_ms: int) -> str:
    """How long ago, in one unit."""
    if then_ms is None:
        return UNKNOWN
    seconds = max(0, now_ms - then_ms) // 1000
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name} ago"
    return f"{seconds} s ago" if seconds else "now"


def short(identifier: str | None, head: int = 8, tail: int = 4) -> str:
    """The two ends of a long id."""
    if not identifier:
        return UNKNOWN
    return identifier if len(identifier) <= head + tail + 1 else f"{identifier[:head]}…{identifier[-tail:]}"


def percent(part: float | None, whole: float | None = 100) -> int | None:
    """0 to 100, or None."""
    if part is None or not whole:
        return None
    return max(0, min(100, round(100 * part / whole)))


def sparkline(values: Sequence[float | int | str | None], width: int = 160, height: int = 36) -> str:
    """Points of an SVG polyline over `width` x `height`; unknown values are left out. Empty for fewer than two."""
    known = [(index, float(value)) for index, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return ""
    highest = 1.15 * max(value for _, value in known) or 1.0
    step = width / (len(values) - 1)
    return " ".join(f"{index * step:.1f},{(height - 3) - value / highest * (height - 6):.1f}" for index, value in known)


FILTERS: Final = {
    "grouped": grouped,
    "ankr": ankr,
    "memory": memory,
    "part_of": part_of,
    "rate": rate,
    "measure": measure,
    "ago": ago,
    "short": short,
    "percent": percent,
    "sparkline": sparkline,
}
