"""Nothing that a chain, a node or a reader calls something becomes markup, on any page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
import urllib3

from chain.history.explorer.rendering import FOLDER, Renderer, attribute, grouped
from tests.chain.history.explorer.conftest import ALICE_TEXT, NAME

EVIL = "'\"><script>alert(1)</script><img src=x onerror=alert(1)><b onclick=x>{{ 7 * 7 }}"

OURS = re.compile(r"(/(?!/)|\?before=|#content$)[^\"'<>]*$")
"""Links that stay on this site, and in their attribute."""


class Parts(HTMLParser):
    """What the browser would take as elements, attributes and link targets."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]


def happening(word: str) -> dict[str, Any]:
    event = {"type": word, "attributes": {word: word, "device": word, "deal": word, "amount_atto": word}}
    named = ("hash", "type", "from", "to", "amount", "fee", "fee_payer", "deal", "log", "result")
    plain = {"height": 1, "position": 0, "nonce": 0, "time": word, "stars": 5, "roles": [word], "events": [event]}
    return plain | dict.fromkeys(named, word) | {"amount": "1", "fee": "1", "escrow": "1"}


def documents(word: str) -> list[dict[str, Any]]:
    about = {"chain_id": word, "indexed": [1, 2], "title": word, "older": word}
    rows = [happening(word), happening(word) | {"hash": None}]
    account = {
        "height": 1,
        "found": True,
        "balance": "1",
        "nonce": 1,
        "service_level": None,
        "devices": 1,
        "stars": None,
    }
    account |= {"ratings": 0, "operator": {"name": word, "bond": "1", "state": word}}
    names = ("state", "customer", "provider", "app_provider", "platform", "terms")
    deal = dict.fromkeys(names, word) | {"height": 1, "found": True, "escrow": "1", "used": "1", "paid": "1"}
    deal |= {"exhausted": True, "rated": True}
    seat = {"validator": word, "operator": word, "name": word, "power": 1, "bond": "1", "jailed": True}
    block = {"height": 1, "hash": word, "time": word, "proposer": word, "transactions": 1}
    subject = about | {"page": "subject", "name": word, "happenings": rows}
    return [
        about | {"page": "home", "blocks": [block]},
        about | block | {"page": "block", "happenings": rows},
        about | {"page": "transaction", "happenings": rows},
        subject | {"kind": "address", "now": account},
        subject | {"kind": "device", "now": {"height": 1, "found": True, "owner": word}},
        subject | {"kind": "deal", "now": deal},
        subject | {"kind": "deal", "now": {"code": word, "message": word}},
        about
        | {"page": "validators", "counted": 1, "now": {"height": 1, "total_power": 1}}
        | {"validators": [seat | {"service_level": None, "since_epoch": 0, "blocks": 1}]},
        {"page": "fault", "title": word, "code": word, "remedy": word},
    ]


@pytest.mark.parametrize("number", range(len(documents(""))))
def test_hostile_words_change_no_page(number: int) -> None:
    renderer = Renderer()
    calm, evil = Parts(renderer.page(documents("calm")[number])), renderer.page(documents(EVIL)[number])
    parts = Parts(evil)
    assert (parts.elements, parts.attributes) == (calm.elements, calm.attributes)
    assert len(parts.links) == len(calm.links) and all(OURS.match(link) for link in parts.links)
    assert "49" not in evil and "alert" in evil


def test_the_pages_above_are_all_there_are() -> None:
    templates = {path.stem for path in (FOLDER / "templates").glob("*.html")} - {"layout", "pieces"}
    assert {each["page"] for each in documents("")} == templates


def test_an_operator_may_call_itself_markup(proven: str) -> None:
    shown = urllib3.request("GET", f"{proven}/address/{ALICE_TEXT}", timeout=30).data.decode()
    assert NAME not in shown and "&lt;b&gt;alice&lt;/b&gt;" in shown


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("amount_atto", "1500000000000000000", ("amount", "1.5 ANKR", "")),
        ("amount_atto", "9" * 5_000, ("amount atto", "9" * 5_000, "")),
        ("amount_atto", "²", ("amount atto", "²", "")),
        ("device", "ab" * 32, ("device", "ab" * 32, "/device/" + "ab" * 32)),
        ("deal", "../x", ("deal", "../x", "")),
        ("to", "javascript:alert(1)", ("to", "javascript:alert(1)", "")),
        ("validator", "ab" * 20, ("validator", "ab" * 20, "")),
    ],
)
def test_an_attribute_links_only_to_what_it_certainly_names(key: str, value: str, shown: tuple[str, ...]) -> None:
    assert attribute(value, key) == shown


def test_amounts_are_grouped_by_thousands() -> None:
    assert [grouped(each) for each in ("0", "999.5", "1234567.000001")] == [
        "0",
        "999.5",
        "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567.000001",
    ]
