"""The history of an account through the gateway: told by an index that is running, marked as its word."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from chain.gateway.server import application
from chain.gateway.settings import Settings
from tests.chain.gateway.conftest import ALICE_TEXT, OPEN, Past
from tests.chain.node.conftest import NodeUnderTest

INDEX = [sys.executable, "-m", "dccn", "node", "index"]


@pytest.fixture(scope="module")
def explorer(node: NodeUnderTest, past: Past, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a process that serves the index, as its operator starts it."""
    database = ["--db", str(tmp_path_factory.mktemp("index") / "h.sqlite"), "--json"]
    subprocess.run([*INDEX, "run", "--rpc", node.url, "--once", *database], check=True, capture_output=True, timeout=60)
    with subprocess.Popen([*INDEX, "serve", "--port", "0", *database], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


@pytest.fixture
def ask(node: NodeUnderTest, tmp_path: Path) -> Iterator[Any]:
    """The history of alice through a gateway with that index."""
    with ExitStack() as rim:

        def asked(index: str, query: str = "") -> Any:
            app = application(Settings(tmp_path, node.url, policy=OPEN, index=index), rim)
            client = rim.enter_context(TestClient(app, raise_server_exceptions=False))
            return client.get(f"/v1/accounts/{ALICE_TEXT}/history{query}")

        yield asked


def test_what_happened_to_an_account_is_told_newest_first_and_as_the_indexs_word(
    ask: Any, explorer: str, past: Past
) -> None:
    answer = ask(explorer)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["verified_height"] is None and found["indexed"][1] >= past.height
    sent = [each for each in found["happenings"] if each["hash"]]
    assert sent[-1]["hash"] == past.paid and [each["type"] for each in sent[-3:]][::-1][1:] == ["bond", "unbond"]
    oldest = found["happenings"][-2]
    page = ask(explorer, f"?before={oldest['height']}:{oldest['position']}").json()
    assert page["happenings"] == found["happenings"][-1:]


def test_an_index_that_is_gone_or_no_index_is_told(ask: Any, node: NodeUnderTest) -> None:
    for url in ("http://127.0.0.1:9", node.url):
        answer = ask(url)
        assert (answer.status_code, answer.json()["code"]) == (503, "unreachable")


def test_a_page_starts_at_a_height_and_a_position(ask: Any, explorer: str) -> None:
    for before in ("x", "5", "1:1&before=2", "-1:1", "1:1x", "９:1"):
        assert ask(explorer, f"?before={before}").status_code == 400
