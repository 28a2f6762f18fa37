"""docs/economics.md shows the parameters as they are."""

from __future__ import annotations

import re
from pathlib import Path

from chain.ledger.parameters import Parameters
from chain.wire.kinds import BEACON, TYPES

PAGE = Path(__file__).parents[3] / "docs" / "economics.md"


def test_the_table_of_parameters_is_true() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d*) ?\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    production, demo = Parameters().by_name, Parameters.demo().by_name
    assert {name: int(value) for name, value, _ in rows} == production
    assert {name: int(own or value) for name, value, own in rows} == demo


def test_the_page_names_every_type_of_transaction_with_its_number() -> None:
    named = re.findall(r"`(\w+)` (\d+)[,\s]", PAGE.read_text(encoding="utf-8"))
    assert {(name, int(number)) for name, number in named} >= {(n, k) for k, n in TYPES.items() if k != BEACON}
