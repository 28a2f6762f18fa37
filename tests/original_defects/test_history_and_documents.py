"""Defects 20 and 21: what is tested, what is written down, and what the history knows."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from chain.crypto.address import address
from chain.history.indexer import Indexer
from chain.history.search import History
from chain.history.store import open_index, read_index
from chain.ledger.parameters import SUPPLY_ATTO
from chain.light.rpc import RpcClient
from chain.wallet.client import ChainClient
from chain.wallet.settlement import Pacing
from chain.wire.data_centers import data_center_register
from chain.wire.kinds import TYPES
from chain.wire.payments import donation, multi_send
from chain.wire.transactions import ANKR, Content, transfer
from tests.chain.node.conftest import HUB, NodeUnderTest, node

__all__ = ["node"]

ROOT = Path(__file__).parents[2]
PRODUCT = ("appliance", "chain", "dccn", "fleet")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
PAYEE = bytes(range(20))


def test_20_every_package_is_under_test() -> None:
    """There the part that ran the data centers had no test at all."""
    text = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    packages = {path.parent for part in PRODUCT for path in (ROOT / part).rglob("__init__.py")}
    names = {
        ".".join(package.relative_to(ROOT).parts)
        for package in packages
        if any(path.name != "__init__.py" for path in package.glob("*.py"))
    }
    called_by_name = {"dccn.commands"}
    assert {name for name in names - called_by_name if not re.search(rf"\b{re.escape(name)}\b", text)} == set()
    commands = {path.stem for path in (ROOT / "dccn/commands").glob("*.py")} - {"__init__"}
    untried = {name for name in commands if not all(f'"{word}"' in text for word in name.split("_"))}
    assert untried == set(), "a file is named as its command: node_doctor is dccn node doctor"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_20_every_page_is_written_and_its_links_lead_somewhere(document: Path) -> None:
    """There the pages about the network itself were left empty."""
    text = document.read_text()
    assert len(text.split()) > 100
    inside = [target for target in LINK.findall(text) if "://" not in target]
    assert [target for target in inside if not (document.parent / target).exists()] == []


def send(client: ChainClient, content: Content) -> int:
    """The height of the block that took the hub's transaction."""
    signed = client.sign(HUB, client.build(HUB.public, content))
    client.send(signed)
    status = client.wait(signed)
    assert status.state == "committed" and status.height is not None
    return status.height


@pytest.mark.parametrize(
    ("content", "kind", "mention"),
    [
        (transfer(PAYEE, ANKR), "transfer", PAYEE),
        (multi_send([(PAYEE, ANKR), (bytes(20), ANKR)]), "multi_send", PAYEE),
        (donation(ANKR, "for all"), "donation", address(HUB.public)),
        (data_center_register("first", "eu", b"c" * 32), "data_center_register", address(HUB.public)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_21_the_history_finds_transactions_of_every_type(
    node: NodeUnderTest, tmp_path: Path, content: Content, kind: str, mention: bytes
) -> None:
    """There only the names of the first version were looked for, so that nothing newer was ever stored."""
    height = send(ChainClient(node.url, pacing=Pacing(0.02, 1.0)), content)
    indexer = Indexer(RpcClient(node.url), open_index(tmp_path / "h.sqlite"))
    while indexer.height < height:
        indexer.step()
    connection: sqlite3.Connection = read_index(tmp_path / "h.sqlite")
    found = History(connection).by_mention("address", mention)
    assert (height, kind) in [(one.height, TYPES[one.transaction.type]) for one in found if one.transaction]


def test_21_history_and_chain_begin_with_the_same_supply(node: NodeUnderTest) -> None:
    """There the one began with 10^24, the other with 10^28."""
    shares = node.home.document["app_state"]["allocation"]
    assert SUPPLY_ATTO == 10**28 == sum(int(share["amount_atto"]) for share in shares)
