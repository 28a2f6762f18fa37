"""Generated requests for every route: none makes the gateway fail, and every answer is as its schema says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.chain.gateway.conftest import ALICE_TEXT, DEVICE_ID, Past

BOUNDED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def described(gateway: TestClient[Any], past: Past) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_asgi("/schema/openapi.json", gateway.app)


THERE = [
    "/v1/status",
    "/v1/blocks/latest",
    "/v1/blocks/{height}",
    "/v1/validators",
    "/v1/seats",
    "/v1/supply",
    "/v1/parameters",
    "/v1/bridge",
    "/v1/operators",
    "/v1/accounts/{address}",
    "/v1/operators/{address}",
    "/v1/devices/{device}",
    "/v1/deals/{deal}",
    "/v1/transactions/{hash}",
]
"""Routes that answer 200 for what the fixture made."""

ROUTES = [("GET", path) for path in [*THERE, "/v1/accounts/{address}/history"]]
ROUTES += [("POST", "/v1/transactions"), ("POST", "/rpc")]

OURS = [not_a_server_error, positive_data_acceptance, negative_data_rejection]
"""Left out: a checksum, a height and a nonce are more than a schema asks for, and 501 to 503 are answers of ours."""


@pytest.mark.parametrize(("verb", "path"), ROUTES)
@given(data=st.data())
@BOUNDED
def test_every_answer_is_as_its_schema_says(described: Any, verb: str, path: str, data: st.DataObject) -> None:
    case = data.draw(described[path][verb].as_strategy(generation_mode=data.draw(st.sampled_from(GenerationMode))))
    answer = case.call_and_validate(excluded_checks=OURS)
    assert answer.status_code not in (500, 502, 503), answer.text


@pytest.mark.parametrize("path", THERE)
def test_what_is_there_is_as_its_schema_says(described: Any, past: Past, path: str) -> None:
    """Generated addresses and hashes belong to nobody; these are somebody's."""
    real = {"height": past.height, "address": ALICE_TEXT, "device": DEVICE_ID, "deal": past.deal, "hash": past.paid}
    names = [name for name in real if f"{{{name}}}" in path]
    case = described[path]["GET"].Case(path_parameters={name: real[name] for name in names})
    assert case.call_and_validate(excluded_checks=OURS).status_code == 200


def test_the_schema_names_every_route(gateway: TestClient[Any]) -> None:
    paths = gateway.get("/schema/openapi.json").json()["paths"]
    assert {(verb.upper(), path) for path, verbs in paths.items() for verb in verbs} == set(ROUTES)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
methods = st.sampled_from(["status", "block", "tx", "abci_query", "validators", "net_info", "broadcast_tx_sync", "x"])
requests = st.fixed_dictionaries(
    {}, optional={"id": json_values, "method": methods | json_values, "params": json_values}
)


@given(
    st.binary(max_size=64) | (json_values | requests | st.lists(requests, max_size=4)).map(json.dumps).map(str.encode)
)
@settings(BOUNDED, max_examples=150)
def test_the_relay_answers_anything_with_json_rpc(gateway: TestClient[Any], past: Past, body: bytes) -> None:
    answer = gateway.post("/rpc", content=body)
    assert answer.status_code in (200, 204, 400), answer.text
    given_back = msgspec.json.decode(answer.content) if answer.content else []
    for one in given_back if isinstance(given_back, list) else [given_back]:
        assert one["jsonrpc"] == "2.0" and len({"result", "error"} & set(one)) == 1
