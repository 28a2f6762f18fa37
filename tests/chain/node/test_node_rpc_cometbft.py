"""Our RPC beside the real one: every route has CometBFT's keys and JSON types, success and failure alike."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
import urllib3

from tools.engines import cometbft

pytestmark = pytest.mark.engine

POOL = urllib3.PoolManager(retries=False, timeout=10.0)
ROUTES = [
    "health",
    "net_info",
    "status",
    "genesis",
    "consensus_params",
    "blockchain?minHeight=1&maxHeight=2",
    "block?height=2",
    "header?height=2",
    "commit?height=2",
    "validators?height=2",
    "block_results?height=2",
    "num_unconfirmed_txs",
    "unconfirmed_txs",
    "abci_info",
    'abci_query?path="/x"&data="y"',
    "tx?hash=0x{hash}&prove=true",
    # Failures
    "block?height=99999",
    "block?height=abc",
    "tx?hash=0x00",
    "tx?hash=zz",
    "broadcast_tx_sync?tx=0x{tx}",
]
BODIES = [
    b"{",
    b"7",
    b"[]",
    b'{"jsonrpc":"2.0","method":"health"}',
    b'{"jsonrpc":"2.0","id":1,"method":"health"}',
    b'{"jsonrpc":"2.0","id":"a","method":"health","params":{}}',
    b'[{"jsonrpc":"2.0","id":1,"method":"health"}]',
    b'[{"jsonrpc":"2.0","id":1,"method":"health"},{"jsonrpc":"2.0","id":2,"method":"health"}]',
    b'{"jsonrpc":"2.0","id":true,"method":"health"}',
    b'{"jsonrpc":"2.0","id":1,"method":"block","params":{"height":"abc"}}',
    b'{"jsonrpc":"2.0","id":1,"method":"block","params":{"height":"99999"}}',
]
# What an application or an operator puts there freely.
FREE = {"app_state", "other"}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binary = cometbft.binary()
    if not cometbft.works(binary):
        pytest.skip("CometBFT is not in the cache: make engines")
    home = tmp_path_factory.mktemp("cometbft")
    subprocess.run([binary, "init", "--home", home], check=True, capture_output=True, timeout=60)
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    url = f"http://127.0.0.1:{ports[0]}"
    listen = ["--rpc.laddr", f"tcp://127.0.0.1:{ports[0]}", "--p2p.laddr", f"tcp://127.0.0.1:{ports[1]}"]
    with subprocess.Popen(
        [binary, "start", "--home", home, "--proxy_app", "kvstore", *listen], stdout=subprocess.DEVNULL
    ) as child:
        try:
            wait_for_height_3(url)
            yield url
        finally:
            child.terminate()


def wait_for_height_3(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if int(get(url, "status")[1]["result"]["sync_info"]["latest_block_height"]) >= 3:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.1)  # an external program that starts
    raise AssertionError("CometBFT did not reach height 3")


def get(url: str, route: str) -> tuple[int, Any]:
    answer = POOL.request("GET", f"{url}/{route}")
    return answer.status, json.loads(answer.data)


def included(url: str, tx: bytes) -> None:
    """Sends a transaction and waits for it in a block."""
    assert get(url, f"broadcast_tx_sync?tx=0x{tx.hex()}")[1]["result"]["code"] == 0
    deadline = time.monotonic() + 20
    while "error" in get(url, f"tx?hash=0x{sha256(tx).hexdigest()}")[1]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_alike(ours: Any, theirs: Any, path: str = "answer") -> None:
    """Same keys and same JSON types; null is like anything, texts and numbers may differ."""
    if ours is None or theirs is None:
        return
    assert type(ours) is type(theirs), f"{path}: {ours!r} beside {theirs!r}"
    if isinstance(ours, dict):
        assert set(ours) - FREE == set(theirs) - FREE, path
        for key in set(ours) & set(theirs) - FREE:
            assert_alike(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and ours and theirs:
        assert_alike(ours[0], theirs[0], f"{path}[0]")


def test_every_route_answers_as_cometbft_does(node, real: str) -> None:
    mine, other = node.payment(), b"key=value"
    included(node.url, mine)
    included(real, other)
    for route in ROUTES:
        ours = get(node.url, route.format(hash=sha256(mine).hexdigest(), tx=mine.hex()))
        theirs = get(real, route.format(hash=sha256(other).hexdigest(), tx=other.hex()))
        assert ours[0] == theirs[0], route
        assert_alike(ours[1], theirs[1], route)
        assert ours[1].get("error", {}).get("code") == theirs[1].get("error", {}).get("code"), route


def test_every_body_is_answered_as_cometbft_answers_it(node, real: str) -> None:
    for body in BODIES:
        ours, theirs = (POOL.request("POST", url, body=body) for url in (node.url, real))
        assert (ours.status, bool(ours.data)) == (theirs.status, bool(theirs.data)), body
        if theirs.data:
            assert_alike(json.loads(ours.data), json.loads(theirs.data), body.decode())
