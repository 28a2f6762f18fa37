"""The explorer: what it shows, where it links, and that nothing a chain says becomes markup."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import urllib3

from chain.crypto.address import address, encode
from chain.history.indexer import Indexer
from chain.history.page import page_server, render
from chain.history.schema import open_index, read_index
from chain.light.rpc import RpcClient
from tests.chain.history.conftest import Past


@pytest.fixture(scope="module")
def explorer(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path: Path = tmp_path_factory.mktemp("index") / "h.sqlite"
    indexer = Indexer(RpcClient(past.node.url), open_index(path))
    while indexer.height < past.height:
        indexer.step()
    server = page_server(read_index(path), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def get(url: str, *, redirect: bool = True) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, redirect=redirect, timeout=10)


def test_from_the_newest_block_to_a_payment(explorer: str, past: Past) -> None:
    home = get(explorer).data.decode()
    assert f"/block/{past.paid.height}'" in home
    block = get(f"{explorer}/block/{past.paid.height}").data.decode()
    assert f"/tx/{past.paid.hash.hex()}'" in block and "100 ANKR" in block
    alice = encode(address(past.alice.public))
    assert f"/address/{alice}'" in block
    assert get(f"{explorer}/address/{alice}").data.decode().count("ANKR") == 4
    (shown,) = get(f"{explorer}/tx/{past.paid.hash.hex()}.json").json()["happenings"]
    assert (shown["result"], shown["amount"], shown["to"]) == ("ok", "100", alice)


def test_the_search_field_finds_heights_addresses_and_hashes(explorer: str, past: Past) -> None:
    alice = encode(address(past.alice.public))
    for wanted, target in (
        ("7", "/block/7"),
        (f" {alice} ", f"/address/{alice}"),
        (past.paid.hash.hex().upper(), f"/tx/{past.paid.hash.hex()}"),
        ("ab" * 32, f"/deal/{'ab' * 32}"),
    ):
        answer = get(f"{explorer}/search?{urlencode({'q': wanted})}", redirect=False)
        assert (answer.status, answer.headers["Location"]) == (303, target)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/block/0", 404),
        ("/block/x", 404),
        ("/block/99999999", 404),
        ("/tx/" + "00" * 32, 404),
        ("/tx/zz", 400),
        ("/address/ankr1zz", 400),
        ("/nothing", 404),
        ("/address/%3Cscript%3E", 400),
        ("/" + "x" * 400, 400),
        ("/search?q=%3Cb%3E", 400),
        ("/deal/ab?before=x:y", 400),
    ],
)
def test_what_is_not_there_is_told_and_never_becomes_markup(explorer: str, path: str, status: int) -> None:
    answer = get(explorer + path)
    assert answer.status == status and b"<script>" not in answer.data and b"<b>" not in answer.data
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_names_that_a_node_makes_up_are_escaped() -> None:
    event = {"type": "<img src=x>", "attributes": {"<a>": "'\"><script>"}}
    one = {
        "height": 1,
        "time": "2026",
        "type": "<i>",
        "result": "check_failed",
        "log": "<u>",
        "hash": None,
        "events": [event],
    }
    page = render({"title": "<h1>", "happenings": [one], "indexed": [1, 2], "chain_id": "<chain>"})
    for bad in ("<img", "<a>", "<script>", "<i>", "<u>", "<chain>"):
        assert bad not in page
    assert page.count("<h1") == 1
