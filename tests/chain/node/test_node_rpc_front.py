"""The RPC front answers anything: with CometBFT's shapes where it can, with a clean JSON-RPC error where not."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient

from chain.errors import Malformed, Refused
from chain.node.rpc import Route, RpcLimits, rpc_application
from chain.node.rpc_params import Kind, Parameter, from_json, from_uri

ALL = (
    Parameter("height", Kind.INTEGER),
    Parameter("prove", Kind.BOOLEAN),
    Parameter("path", Kind.TEXT),
    Parameter("tx", Kind.BYTES),
    Parameter("data", Kind.HEX),
)


def echo(**values: Any) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}


def refuse() -> None:
    raise Refused("tx_duplicate", "sent already")


def crash() -> None:
    raise ZeroDivisionError("a bug")


ROUTES = {
    "echo": Route(echo, ALL),
    "refuse": Route(refuse),
    "crash": Route(crash),
    "need": Route(echo, (Parameter("hash", Kind.BYTES, required=True),)),
}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Any]]:
    with TestClient(rpc_application(ROUTES, RpcLimits(body_bytes=10_000)), raise_server_exceptions=False) as client:
        yield client


def test_uri_parameters_read_as_cometbft_reads_them(client: TestClient[Any]) -> None:
    answer = client.get(
        "/echo", params={"height": "5", "prove": "true", "path": '"/state"', "tx": "0x0aFF", "data": '"ab"'}
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "jsonrpc": "2.0",
        "id": -1,
        "result": {"height": 5, "prove": True, "path": "/state", "tx": "0aff", "data": b"ab".hex()},
    }
    assert client.get("/echo", params={"height": '"5"'}).json()["result"]["height"] == 5
    assert client.get("/echo").json()["result"] == dict.fromkeys(("height", "prove", "path", "tx", "data"))


def test_json_parameters_come_by_name_or_by_position(client: TestClient[Any]) -> None:
    named = {
        "height": "7",
        "prove": False,
        "path": "/state",
        "tx": base64.b64encode(b"\x0a\xff").decode(),
        "data": "0AFF",
    }
    for params in (named, list(named.values())):
        answer = client.post("/", json={"jsonrpc": "2.0", "id": "q", "method": "echo", "params": params})
        assert answer.json()["result"] == {"height": 7, "prove": False, "path": "/state", "tx": "0aff", "data": "0aff"}
        assert answer.json()["id"] == "q"


def test_a_batch_gets_an_answer_for_each_request_and_none_for_a_notification(client: TestClient[Any]) -> None:
    assert client.post("/", json=[]).content == client.post("/", json={"method": "echo"}).content == b""
    assert client.post("/", json=[{"jsonrpc": "2.0", "id": 1, "method": "echo"}]).json()["id"] == 1
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "echo"},
        {"jsonrpc": "2.0", "method": "echo"},
        {"id": 2, "method": "no"},
    ]
    answers = client.post("/", json=batch).json()
    assert [(each["id"], "error" in each) for each in answers] == [(1, False), (2, True)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 5_000, -32700),
        (b"7", -32700),
        (b"[7]", -32700),
        (b'{"id":true,"method":"echo"}', -32700),
        (b"[" + b",".join([b'{"id":1,"method":"echo"}'] * 101) + b"]", -32600),
        (b'{"id":1,"method":"nothing"}', -32601),
        (b'{"id":1,"method":["echo"]}', -32601),
        (b'{"id":1,"method":"echo","params":7}', -32602),
        (b'{"id":1,"method":"echo","params":{"height":"seven"}}', -32602),
        (b'{"id":1,"method":"echo","params":{"height":true}}', -32602),
        (b'{"id":1,"method":"echo","params":{"height":99999999999999999999}}', -32602),
        (b'{"id":1,"method":"echo","params":{"data":"zz"}}', -32602),
        (b'{"id":1,"method":"echo","params":{"tx":"*"}}', -32602),
        (b'{"id":1,"method":"echo","params":[1,true,"p","","",1]}', -32602),
        (b'{"id":1,"method":"need"}', -32602),
        (b'{"id":1,"method":"refuse"}', -32603),
    ],
)
def test_malformed_input_gets_a_json_rpc_error(client: TestClient[Any], body: bytes, code: int) -> None:
    answer = client.post("/", content=body)
    assert answer.json()["error"]["code"] == code
    assert answer.json()["jsonrpc"] == "2.0"


def test_a_refusal_names_its_code_and_a_bug_only_its_kind(client: TestClient[Any]) -> None:
    refused = client.get("/refuse")
    assert (refused.status_code, refused.json()["error"]["data"]) == (500, "tx_duplicate: sent already")
    crashed = client.get("/crash")
    assert (crashed.status_code, crashed.json()["error"]["data"]) == (500, "ZeroDivisionError")
    assert client.get("/echo").status_code == 200


def test_unknown_paths_wrong_verbs_and_large_bodies_are_json_rpc_errors_too(client: TestClient[Any]) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.get("/a/b/c").json()["error"]["code"] == -32600
    assert client.put("/").status_code == 405
    too_large = client.post("/", content=b'"' + b"a" * 20_000 + b'"')
    assert (too_large.status_code, "error" in too_large.json()) == (413, True)


@given(st.dictionaries(st.sampled_from([each.name for each in ALL]), st.text(max_size=30)))
def test_any_query_string_is_read_or_refused(query: dict[str, str]) -> None:
    try:
        values = from_uri(ALL, query)
    except Malformed as error:
        assert error.code == "malformed"
    else:
        assert set(values) == {each.name for each in ALL}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3),
)


@given(st.one_of(JSON_VALUES, st.dictionaries(st.sampled_from([each.name for each in ALL]), JSON_VALUES)))
def test_any_json_params_are_read_or_refused(params: object) -> None:
    try:
        values = from_json(ALL, json.loads(json.dumps(params)))
    except Malformed as error:
        assert error.code == "malformed"
    else:
        assert set(values) == {each.name for each in ALL}
