"""RPC of a running node: CometBFT's JSON, which the wire formats and the light client read and verify."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
import urllib3

from chain.crypto import ed25519, merkle
from chain.errors import REGISTRY, DccnError
from chain.ledger.genesis import genesis_hash
from chain.light.client import LightClient
from chain.light.inclusion import verified_beacon, verified_state, verified_tx
from chain.node.status import status
from chain.slsbft import genesis_beacon
from chain.wire.rpc_json import commit_from_json, header_from_json, validator_set_from_json
from chain.wire.state import Account, account_key

POOL = urllib3.PoolManager(retries=False, timeout=10.0)


def get(node, path: str) -> dict[str, Any]:
    return json.loads(POOL.request("GET", f"{node.url}/{path}").data)


def call(node, method: str, **params: object) -> dict[str, Any]:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    return json.loads(POOL.request("POST", node.url, body=body).data)


def light_client(node) -> LightClient:
    first = node.rpc.signed_header(1)
    return LightClient(node.rpc, first.header.chain_id, 1, first.header.hash())


def test_uri_and_json_rpc_answer_alike(node) -> None:
    for path, method, params in [
        ("health", "health", {}),
        ("genesis", "genesis", {}),
        ("block?height=2", "block", {"height": "2"}),
        ("header?height=2", "header", {"height": "2"}),
        ("commit?height=2", "commit", {"height": "2"}),
        ("validators?height=2", "validators", {"height": "2"}),
        ("block_results?height=2", "block_results", {"height": "2"}),
        ("consensus_params?height=2", "consensus_params", {"height": "2"}),
        ("net_info", "net_info", {}),
    ]:
        by_uri, by_json = get(node, path), call(node, method, **params)
        assert by_uri["result"] == by_json["result"], path
        assert (by_uri["id"], by_json["id"]) == (-1, 1)
    metas = get(node, "blockchain?minHeight=1&maxHeight=2")["result"]["block_metas"]
    assert metas == call(node, "blockchain", minHeight="1", maxHeight="2")["result"]["block_metas"]
    assert [meta["header"]["height"] for meta in metas] == ["2", "1"]


def test_headers_commits_and_validators_survive_the_way_through_json(node) -> None:
    node.wait_for_height(5)
    for height in range(1, 5):
        block = get(node, f"block?height={height}")["result"]
        commit = get(node, f"commit?height={height}")["result"]
        validators = validator_set_from_json(get(node, f"validators?height={height}")["result"])
        header = header_from_json(block["block"]["header"])
        assert header.hash().hex().upper() == block["block_id"]["hash"]
        assert header.validators_hash == validators.hash()
        assert commit["canonical"] is True
        signed = commit_from_json(commit["signed_header"]["commit"])
        assert signed.block_id.hash == header.hash()
        for index, signature in enumerate(signed.signatures):
            key = validators[index].public
            if signature.flag == 2:
                assert ed25519.verify(key, signed.vote_sign_bytes(header.chain_id, index), signature.signature)
        following = header_from_json(get(node, f"header?height={height + 1}")["result"]["header"])
        assert following.last_commit_hash == signed.hash()
        assert following.app_hash == base64.b64decode(get(node, f"block_results?height={height}")["result"]["app_hash"])


def test_a_light_client_verifies_state_transactions_and_beacons(node) -> None:
    tx = node.payment(to=b"\x01" * 20)
    assert node.rpc.broadcast_tx_sync(tx).code == 0
    node.next_blocks(3)
    client = light_client(node)
    client.update()
    value, height = verified_state(client, account_key(b"\x01" * 20))
    assert value is not None and Account.decode(value).balance_atto == 10**18
    assert 0 < height < node.rpc.status().height
    found = verified_tx(client, sha256(tx).digest())
    assert found is not None and (found.tx, found.code) == (tx, 0)
    assert verified_state(client, account_key(b"\x01" * 20), found.height)[1] == found.height
    assert verified_state(client, account_key(b"\x02" * 20))[0] is None
    for number in range(1, 4):
        assert verified_beacon(client, number) == node.rpc.abci_query("/beacon", b"%d" % number, prove=False).value


def test_the_beacon_of_height_0_is_that_of_the_genesis_document(node) -> None:
    document = get(node, "genesis")["result"]["genesis"]
    assert document == node.home.document
    assert node.rpc.abci_query("/beacon", b"0", prove=False).value == genesis_beacon(genesis_hash(document))


def test_a_transaction_is_found_with_its_proof(node) -> None:
    tx = node.payment()
    answer = get(node, f"broadcast_tx_sync?tx=0x{tx.hex()}")["result"]
    assert answer == {"code": 0, "data": "", "log": "", "codespace": "", "hash": sha256(tx).hexdigest().upper()}
    node.next_blocks()
    found = get(node, f"tx?hash=0x{answer['hash']}&prove=true")["result"]
    assert base64.b64decode(found["tx"]) == tx
    proof = found["proof"]
    assert proof["root_hash"] == get(node, f"block?height={found['height']}")["result"]["block"]["header"]["data_hash"]
    path = [base64.b64decode(aunt) for aunt in proof["proof"]["aunts"]]
    index, total = int(proof["proof"]["index"]), int(proof["proof"]["total"])
    assert index == found["index"] == 1
    assert merkle.verify(bytes.fromhex(proof["root_hash"]), sha256(tx).digest(), index, total, path)
    assert base64.b64decode(proof["proof"]["leaf_hash"]) == merkle.leaf_hash(sha256(tx).digest())


def test_refusals_say_what_was_wrong(node) -> None:
    tx = node.payment()
    assert call(node, "broadcast_tx_sync", tx=base64.b64encode(tx).decode())["result"]["code"] == 0
    with pytest.raises(DccnError, match="already exists"):
        node.rpc.broadcast_tx_sync(tx)
    noise = node.rpc.broadcast_tx_sync(b"noise")
    assert (noise.code, noise.log[:10]) == (REGISTRY["malformed"].number, "malformed:")
    assert node.rpc.tx(bytes(32)) is None
    for path in ("block?height=99999", "block?height=0", "block?height=-1", "commit?height=99999", "validators?page=2"):
        answer = POOL.request("GET", f"{node.url}/{path}")
        error = json.loads(answer.data)["error"]
        assert (answer.status, error["code"]) == (500, -32603), path
    assert (
        "must be less than or equal to the current blockchain height"
        in get(node, "block?height=99999")["error"]["data"]
    )
    assert get(node, "block_by_hash?hash=0x00")["result"]["block"] is None
    assert call(node, "abci_query", path="/nothing")["result"]["response"]["code"] == REGISTRY["malformed"].number


def test_the_mempool_can_be_looked_at_and_async_broadcast_arrives(node) -> None:
    tx = node.payment(to=b"\x07" * 20)
    answer = call(node, "broadcast_tx_async", tx=base64.b64encode(tx).decode())["result"]
    assert answer["hash"] == sha256(tx).hexdigest().upper()
    counts = get(node, "num_unconfirmed_txs")["result"]
    assert (counts["txs"], int(counts["n_txs"])) == (None, int(counts["total"]))
    assert isinstance(get(node, "unconfirmed_txs?limit=5")["result"]["txs"], list)
    node.next_blocks(3)
    found = node.rpc.tx(sha256(tx).digest())
    assert found is not None and found.code == 0


def test_status_sums_up_the_node(node) -> None:
    summary = status(node.url)
    assert summary["chain_id"] == node.home.genesis.chain_id
    assert summary["engine"] == "embedded: one machine, no fault tolerance"
    assert (summary["height"] >= 3, summary["earliest_height"], len(summary["validators"])) == (True, 1, 4)
    mine = get(node, "status")["result"]["validator_info"]
    assert mine["voting_power"] == "1"
    assert mine["address"] == node.home.operators[0].validator_address.hex().upper()


def test_validators_come_in_pages_up_to_the_next_height(node) -> None:
    page = get(node, "validators?height=2&page=2&per_page=3")["result"]
    assert (page["count"], page["total"], len(page["validators"])) == ("1", "4", 1)
    newest = int(get(node, "status")["result"]["sync_info"]["latest_block_height"])
    assert int(get(node, "validators")["result"]["block_height"]) > newest
    assert node.rpc.validators(newest + 1) == node.rpc.validators(1)


def test_every_operator_of_this_chain_proposes_sooner_or_later(node) -> None:
    node.wait_for_height(30)
    headers = [node.rpc.signed_header(height).header for height in range(1, 31)]
    assert {header.proposer_address for header in headers} == {keys.validator_address for keys in node.home.operators}
    assert all(left.time_ns < right.time_ns for left, right in pairwise(headers))
