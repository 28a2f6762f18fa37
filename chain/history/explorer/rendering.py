"""Documents as HTML. Everything in them is escaped, since chains and nodes may call things as they like."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chain.crypto.address import encode
from chain.wire.amounts import format_ankr
from chain.wire.state import SCALE

FOLDER: Final = Path(__file__).parent
STYLE_PATH: Final = "/explorer.css"
ROWS_MAX: Final = 500
"""Of one page; a block's other transactions are in its JSON."""
_ADDRESS_HEX: Final = re.compile(r"[0-9a-f]{40}", re.ASCII)
_ID_HEX: Final = re.compile(r"(?:[0-9a-f]{2}){1,32}", re.ASCII)
_AMOUNT: Final = re.compile(r"\d{1,39}", re.ASCII)


class Renderer:
    """The compiled templates and the style sheet."""

    def __init__(self) -> None:
        self.style = (FOLDER / "static" / "explorer.css").read_text(encoding="utf-8")
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= FILTERS
        self._environment.globals |= {"rows_max": ROWS_MAX, "style_path": STYLE_PATH}

    def page(self, document: dict[str, Any]) -> str:
        """A whole page; the document's `page` names its template."""
        return self._environment.get_template(f"{document['page']}.html").render(document=document)


def short(text: str) -> str:
    """The ends of a hash or an address, which people compare."""
    return text if len(text) <= 20 else f"{text[:10]}…{text[-6:]}"


def moment(rfc3339: str) -> str:
    return f"{rfc3339[:10]} {rfc3339[11:19]}"


def grouped(amount: str) -> str:
    """A decimal number with its thousands apart, by spaces that do not break."""
    whole, point, fraction = amount.partition(".")
    return f"{int(whole):,}".replace(",", "\N{NARROW NO-BREAK SPACE}") + point + fraction


def words(name: str) -> str:
    return name.replace("_", " ")


def level(value: int | None) -> str:
    """A service level of the ledger, which counts in millionths; unknown is a dash."""
    return "–" if value is None else f"{value / SCALE:.3f}"


def attribute(value: str, key: str) -> tuple[str, str, str]:
    """(name, text, path or empty) of an event's attribute: addresses as ankr1…, amounts in ANKR, links to both."""
    if key.endswith("_atto") and _AMOUNT.fullmatch(value):
        return words(key.removesuffix("_atto")), f"{grouped(format_ankr(int(value)))} ANKR", ""
    if key in ("device", "deal") and _ID_HEX.fullmatch(value):
        return key, value, f"/{key}/{value}"
    if _ADDRESS_HEX.fullmatch(value) and key != "validator":
        text = encode(bytes.fromhex(value))
        return words(key), text, f"/address/{text}"
    return words(key), value, ""


FILTERS: Final = {
    "short": short,
    "moment": moment,
    "attribute": attribute,
    "words": words,
    "level": level,
    "grouped": grouped,
}
