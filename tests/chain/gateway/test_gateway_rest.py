"""What the REST routes tell of a real chain: the same as the light client proves, and nothing that it does not."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from litestar.testing import TestClient

from chain.crypto.address import address, encode
from chain.light.rpc import QueryAnswer, RpcClient
from chain.wire.transactions import ANKR, decode, transfer
from tests.chain.gateway.conftest import ALICE, ALICE_TEXT, BOND, DEVICE_ID, GRANT, HUB, HUB_TEXT, UNBOND, Past
from tests.chain.node.conftest import CHAIN_ID, NodeUnderTest

Client = TestClient[Any]
NOBODY = encode(b"nobody".ljust(20))


def told(gateway: Client, path: str) -> dict[str, Any]:
    answer = gateway.get(path)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert document["chain_id"] == CHAIN_ID and "named by you" in document["trusted"]
    return document


def refused(gateway: Client, path: str) -> tuple[int, str]:
    answer = gateway.get(path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "code", "remedy"}
    return answer.status_code, answer.json()["code"]


def test_an_account_is_told_whole_and_of_one_height(gateway: Client, past: Past) -> None:
    found = told(gateway, f"/v1/accounts/{ALICE_TEXT}")
    fee_atto = 5 * ANKR
    assert found["balance_atto"] == str(GRANT - BOND - 3 * fee_atto) and found["nonce"] == 3
    assert found["bond_atto"] == str(BOND - UNBOND)
    assert [each["amount_atto"] for each in found["unbonding"]] == [str(UNBOND)]
    assert found["verified_height"] > past.height
    assert told(gateway, f"/v1/accounts/{ALICE_TEXT.upper()}")["address"] == ALICE_TEXT


def test_all_values_of_an_answer_are_asked_of_the_height_of_the_first(
    gateway: Client, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, honest = [], RpcClient.abci_query

    def noted(self: RpcClient, path: str, data: bytes, height: int = 0, prove: bool = True) -> QueryAnswer:
        asked.append(height)
        return honest(self, path, data, height, prove)

    monkeypatch.setattr(RpcClient, "abci_query", noted)
    found = told(gateway, f"/v1/accounts/{ALICE_TEXT}")
    assert asked == [0] + [found["verified_height"]] * 4


def test_an_address_that_nobody_used_has_nothing(gateway: Client, past: Past) -> None:
    found = told(gateway, f"/v1/accounts/{NOBODY}")
    assert (found["balance"], found["nonce"], found["bond_atto"], found["unbonding"]) == ("0", 0, "0", [])


def test_operators_seats_and_validators_agree(gateway: Client, past: Past) -> None:
    operators = told(gateway, "/v1/operators")
    bonds = [int(told(gateway, f"/v1/operators/{each}")["operator"]["bond_atto"]) for each in operators["operators"]]
    assert len(bonds) == 4 and sum(bonds) == int(operators["stake_atto"])
    assert {each["operator"] for each in told(gateway, "/v1/seats")["seats"]} <= set(operators["operators"])
    one = told(gateway, f"/v1/operators/{ALICE_TEXT}")["operator"]
    assert (one["name"], one["keys"], one["jailed_until"]) == ("alice", [], None) and len(one["unbonding"]) == 1
    validators = told(gateway, "/v1/validators?height=2")
    assert validators["verified_height"] == 2
    assert sum(each["power"] for each in validators["validators"]) == validators["total_power"]


def test_a_device_and_a_deal_are_told(gateway: Client, past: Past) -> None:
    device = told(gateway, f"/v1/devices/{DEVICE_ID.upper()}")
    assert (device["device"], device["owner"], device["state"]) == (DEVICE_ID, ALICE_TEXT, "registered")
    deal = told(gateway, f"/v1/deals/{past.deal}")
    assert (deal["customer"], deal["provider"], deal["outcome"]) == (HUB_TEXT, ALICE_TEXT, None)
    assert deal["escrow_atto"] == str(10 * ANKR)


def test_supply_parameters_and_bridge_are_told(gateway: Client, past: Past) -> None:
    supply = told(gateway, "/v1/supply")
    parts = [int(value) for group in ("parts_atto", "reserved_atto") for value in supply[group].values()]
    assert sum(parts) == int(supply["total_atto"]) == 10_000_000_000 * ANKR
    assert told(gateway, "/v1/parameters")["parameters"]["transaction_fee_atto"] == str(5 * ANKR)
    bridge = told(gateway, "/v1/bridge")
    assert bridge["closed"] and bridge["bridged_atto"] == {"bep2": "0", "erc20": "0"}


def test_a_block_names_its_transactions_and_its_parent_proves_it(gateway: Client, past: Past) -> None:
    block = told(gateway, f"/v1/blocks/{past.height}")
    assert past.paid in block["transactions"]
    assert block["hash"] == past.client.light.header(past.height).hash().hex()
    status, latest = told(gateway, "/v1/status"), told(gateway, "/v1/blocks/latest")
    assert past.height < status["verified_height"] <= latest["height"]


def test_a_transaction_goes_in_as_hex_or_base64_and_its_end_is_proven(gateway: Client, past: Past) -> None:
    build = past.client.build(HUB.public, transfer(address(ALICE.public), ANKR))
    signed = past.client.sign(HUB, build)
    sent = gateway.post("/v1/transactions", json={"transaction": signed.encode().hex()})
    assert (sent.status_code, sent.json()["hash"]) == (202, signed.hash.hex())
    assert sent.json()["verified_height"] is None, "nothing is proven yet"
    assert past.client.wait(signed).state == "committed"
    again = {"transaction": base64.b64encode(signed.encode()).decode(), "encoding": "base64"}
    assert gateway.post("/v1/transactions", json=again).status_code == 202
    found = told(gateway, f"/v1/transactions/{signed.hash.hex()}")
    assert (found["state"], found["type"], found["sender"], found["code"]) == ("committed", "transfer", HUB_TEXT, None)
    assert decode(bytes.fromhex(found["bytes"])) == signed and found["verified_height"] == found["height"]


def test_the_beacon_of_a_block_is_a_transaction_without_sender(gateway: Client, past: Past) -> None:
    beacon = told(gateway, f"/v1/blocks/{past.height}")["transactions"][0]
    found = told(gateway, f"/v1/transactions/{beacon}")
    assert (found["type"], found["sender"], found["index"], found["bytes"]) == ("beacon", None, 0, None)


def test_what_the_chain_refuses_comes_back_with_its_code(gateway: Client, past: Past) -> None:
    cheap = past.client.sign(HUB, past.client.build(HUB.public, transfer(bytes(20), ANKR), fee=1))
    for signed, codes in ((cheap, {"tx_fee_too_low"}), (replace(cheap, signature=bytes(64)), {"bad_signature"})):
        answer = gateway.post("/v1/transactions", json={"transaction": signed.encode().hex()})
        assert answer.status_code in (400, 403) and answer.json()["code"] in codes


@pytest.mark.parametrize(
    "body",
    [
        {"transaction": "zz"},
        {"transaction": "80"},
        {"transaction": "80", "encoding": "base64"},
        {"transaction": "80", "encoding": "base58"},
        {"transaction": "80", "more": 1},
        {},
        [],
        {"transaction": "ab" * 1_000_000},
    ],
)
def test_what_is_no_transaction_is_refused_before_the_node_sees_it(gateway: Client, body: Any) -> None:
    answer = gateway.post("/v1/transactions", json=body)
    assert answer.status_code in (400, 413) and answer.json()["code"] in ("malformed", "too_large", "non_canonical")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/blocks/0", 400, "malformed"),
        ("/v1/blocks/9007199254740991", 404, "height_unknown"),
        ("/v1/blocks/9007199254740992", 400, "malformed"),
        ("/v1/validators?height=999999999", 404, "height_unknown"),
        ("/v1/accounts/ankr1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", 400, "malformed"),
        ("/v1/accounts/%3Cscript%3E", 400, "malformed"),
        (f"/v1/accounts/{HUB_TEXT}/history", 501, "index_absent"),
        (f"/v1/operators/{NOBODY}", 404, "tx_unknown_operator"),
        ("/v1/devices/" + "00" * 32, 404, "tx_unknown_device"),
        ("/v1/devices/" + "00" * 31, 400, "malformed"),
        ("/v1/deals/" + "ab" * 32, 404, "tx_unknown_deal"),
        ("/v1/transactions/" + "ab" * 32, 404, "tx_not_found"),
        ("/v2/status", 404, "not_found"),
    ],
)
def test_what_is_not_there_is_a_problem_with_a_code(gateway: Client, path: str, status: int, code: str) -> None:
    assert refused(gateway, path) == (status, code)


def test_a_node_that_lies_is_never_quoted(
    node: NodeUnderTest, gateway: Client, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = RpcClient.abci_query

    def richer(self: RpcClient, path: str, data: bytes, height: int = 0, prove: bool = True) -> QueryAnswer:
        answer = honest(self, path, data, height, prove)
        return replace(answer, value=(answer.value or b"\x80")[:-1] + b"\x63")

    monkeypatch.setattr(RpcClient, "abci_query", richer)
    for path in (f"/v1/accounts/{HUB_TEXT}", "/v1/supply", "/v1/seats", "/v1/bridge"):
        assert refused(gateway, path) == (502, "proof_invalid")
