"""The face in letters, for a screen or a serial line of 80 columns: no colours are needed to read it."""

from __future__ import annotations

import io
import textwrap

import segno

from appliance.console import words
from appliance.console.facts import Facts
from appliance.console.plain import plain

COLUMNS = 78
CLEAR = "\x1b[2J\x1b[H"


def screen(facts: Facts) -> str:
    """Lines of at most 80 columns; with a claim code, also as a QR code."""
    parts = ["", *textwrap.wrap(words.sentence(facts), COLUMNS), *textwrap.wrap(plain(words.advice(facts)), COLUMNS)]
    if facts.code is not None:
        parts += ["", f"        {'  '.join(facts.code)}", "", *qr_lines(facts.code)]
    parts += ["", *(line for name, value in words.lines(facts) for line in _row(name, plain(value))), ""]
    return "\n".join(parts)


def _row(name: str, value: str) -> list[str]:
    """One line, or for a sentence as many as it needs."""
    first, rest = f"  {name:<18}", " " * 20
    return textwrap.wrap(value, COLUMNS, initial_indent=first, subsequent_indent=rest) or [first]


def qr_lines(text: str) -> list[str]:
    """Two rows of the code in each line, dark on light, as screens of every colour show it."""
    out = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out=out, compact=True, border=1)
    return out.getvalue().rstrip("\n").split("\n")
