"""The RPC client against the node's own HTTP front, and against things that are no node."""

import asyncio
import base64
import http.server
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest

from chain.errors import Malformed, Refused, Unavailable
from chain.light.client import LightClient
from chain.light.inclusion import verified_beacon, verified_state, verified_tx
from chain.light.rpc import RpcClient
from chain.node.rpc import Route, RpcLimits, rpc_application
from chain.node.rpc_params import Kind, Parameter
from chain.node.rpc_server import RpcServer
from chain.node.rpc_shapes import hexadecimal, tx_proof_to_json
from chain.web.listening import bind, url_of
from chain.wire.rpc_json import header_to_json, signed_header_to_json, validator_to_json

HEIGHT = Parameter("height", Kind.INTEGER)


def routes_of(chain: Any) -> dict[str, Route]:
    """CometBFT's answers for a chain made by hand; two validators a page, to make the client turn pages."""

    def status() -> dict[str, Any]:
        sync = {"latest_block_height": str(chain.height), "latest_app_hash": "AB", "catching_up": False}
        return {"node_info": {"network": "dccn-test"}, "sync_info": sync}

    def commit(height: int | None) -> dict[str, Any]:
        known = height or chain.height
        if known > chain.height:
            raise Refused("height_unknown", f"height {known} must be less than or equal to {chain.height}")
        return {"signed_header": signed_header_to_json(chain.signed[known]), "canonical": True}

    def validators(height: int | None, page: int | None, per_page: int | None) -> dict[str, Any]:
        shown, size, number = chain.validators(height).validators, 2, (page or 1) - 1
        some = [validator_to_json(each) for each in shown[number * size : (number + 1) * size]]
        return {"block_height": str(height), "validators": some, "count": str(len(some)), "total": str(len(shown))}

    def block(height: int | None) -> dict[str, Any]:
        txs = [base64.b64encode(tx).decode() for tx in chain.txs[height]]
        return {"block": {"header": header_to_json(chain.header_at(height)), "data": {"txs": txs}}}

    def abci_query(path: str, data: bytes, height: int | None, prove: bool | None) -> dict[str, Any]:
        answer = chain.abci_query(path, data, height or 0)
        ops = [
            {"type": kind, "key": base64.b64encode(key).decode(), "data": base64.b64encode(proof).decode()}
            for kind, key, proof in answer.proof_ops
        ]
        value = base64.b64encode(answer.value).decode() if answer.value else None
        shown = {"code": 0, "height": str(answer.height), "value": value, "proofOps": {"ops": ops}}
        return {"response": {**shown, "key": base64.b64encode(answer.key).decode()}}

    def tx(hash: bytes, prove: bool | None) -> dict[str, Any]:  # noqa: A002
        found = chain.tx(hash)
        if found is None:
            raise Refused("tx_not_found", f"tx ({hexadecimal(hash)}) not found")
        shown = {"hash": hexadecimal(hash), "height": str(found.height), "index": found.index, "tx_result": {"code": 0}}
        proof = tx_proof_to_json(chain.txs[found.height], found.index)
        return {**shown, "tx": base64.b64encode(found.tx).decode(), "proof": proof}

    def broadcast(tx: bytes) -> dict[str, Any]:
        return {"code": 11, "log": "tx_bad_nonce", "hash": hexadecimal(sha256(tx).digest())}

    pages = (Parameter("page", Kind.INTEGER), Parameter("per_page", Kind.INTEGER))
    query = (Parameter("path", Kind.TEXT), Parameter("data", Kind.HEX), HEIGHT, Parameter("prove", Kind.BOOLEAN))
    return {
        "status": Route(status),
        "commit": Route(commit, (HEIGHT,)),
        "validators": Route(validators, (HEIGHT, *pages)),
        "block": Route(block, (HEIGHT,)),
        "abci_query": Route(abci_query, query),
        "tx": Route(tx, (Parameter("hash", Kind.BYTES, required=True), Parameter("prove", Kind.BOOLEAN))),
        "broadcast_tx_sync": Route(broadcast, (Parameter("tx", Kind.BYTES, required=True),)),
    }


@contextmanager
def served(routes: Mapping[str, Route]) -> Iterator[str]:
    bound = bind("127.0.0.1", 0, may_move=True)
    ready, stop = threading.Event(), []

    async def serve() -> None:
        server = RpcServer(rpc_application(routes, RpcLimits()), RpcLimits())
        serving = asyncio.create_task(server.serve([bound]))
        await server.up.wait()
        stop.append((asyncio.get_running_loop(), server))
        ready.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield url_of(bound)
    finally:
        loop, server = stop[0]
        loop.call_soon_threadsafe(server.stop)
        thread.join(10)
        bound.close()


@pytest.fixture(scope="module")
def url(steady: Any) -> Iterator[str]:
    with served(routes_of(steady)) as address:
        yield address


@pytest.fixture
def rpc(url: str) -> Iterator[RpcClient]:
    client = RpcClient(url)
    yield client
    client.close()


def test_answers_arrive_as_the_wires_own_types(steady: Any, rpc: RpcClient) -> None:
    assert (rpc.status().chain_id, rpc.status().height, rpc.status().app_hash) == ("dccn-test", 40, b"\xab")
    assert rpc.signed_header(7) == rpc.commit(7) == steady.signed[7]
    assert rpc.signed_header() == steady.signed[40]
    assert rpc.validators(7) == steady.validators(7), "from two pages"
    assert rpc.block(7).txs == steady.txs[7]
    assert rpc.block(7).header == steady.header_at(7)
    assert rpc.abci_query("/state", b"account/x", 5) == steady.abci_query("/state", b"account/x", 5)
    assert rpc.tx(sha256(steady.txs[7][1]).digest()) == steady.tx(sha256(steady.txs[7][1]).digest())
    assert rpc.tx(bytes(32)) is None
    sent = rpc.broadcast_tx_sync(b"some transaction")
    assert (sent.code, sent.log, sent.hash) == (11, "tx_bad_nonce", sha256(b"some transaction").digest())


def test_the_whole_way_over_http(steady: Any, rpc: RpcClient) -> None:
    now_ns = steady.header_at(40).time_ns
    client = LightClient(rpc, "dccn-test", 1, steady.header_at(1).hash(), now_ns=lambda: now_ns)
    assert client.update() == steady.header_at(40)
    assert verified_state(client, b"account/x") == (b"90", 39)
    assert verified_beacon(client, 9) == verified_beacon(
        LightClient(steady, "dccn-test", 1, steady.header_at(1).hash(), now_ns=lambda: now_ns), 9
    )
    found = verified_tx(client, sha256(steady.txs[8][2]).digest())
    assert found is not None and found.height == 8


def test_what_the_node_cannot_answer_is_unavailable(rpc: RpcClient) -> None:
    with pytest.raises(Unavailable, match="41"):
        rpc.signed_header(41)
    with pytest.raises(Unavailable, match="no method"):
        rpc.call("mine_bitcoin")


def test_nobody_listening_is_unavailable_with_exit_code_3() -> None:
    free = bind("127.0.0.1", 0, may_move=True)
    address = url_of(free)
    free.close()
    with pytest.raises(Unavailable) as refused:
        RpcClient(address, timeout_s=1).status()
    assert refused.value.code == "unreachable" and refused.value.exit_code == 3


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[str]:
    """A web server that says the same to everybody."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>a captive portal</html>", Unavailable),
        (b"", Unavailable),
        (b"[" * 100_000, Unavailable),
        (b"[]", Malformed),
        (b"{}", Malformed),
        (b'{"result": 5}', Malformed),
        (b'{"result": {"signed_header": null}}', Malformed),
        (b'{"error": {"code": -32603, "message": "Internal error", "data": "no"}}', Unavailable),
        (b'{"error": "no"}', Unavailable),
    ],
)
def test_an_answer_that_is_no_answer_is_an_error_with_a_code(body: bytes, error: type[Exception]) -> None:
    with answering(body) as address, pytest.raises(error):
        RpcClient(address).signed_header(1)


SPOILED: dict[str, Callable[[RpcClient], object]] = {
    '{"result": {"response": {"code": "x"}}}': lambda rpc: rpc.abci_query("/state", b"k"),
    '{"result": {"response": {"proofOps": {"ops": [1]}}}}': lambda rpc: rpc.abci_query("/state", b"k"),
    '{"result": {"response": {"value": "***"}}}': lambda rpc: rpc.abci_query("/state", b"k"),
    '{"result": {"response": []}}': lambda rpc: rpc.abci_query("/state", b"k"),
    '{"result": {"block": {"data": {"txs": [5]}}}}': lambda rpc: rpc.block(1),
    '{"result": {"hash": "zz"}}': lambda rpc: rpc.broadcast_tx_sync(b""),
    '{"result": {"tx_result": {}, "proof": 5}}': lambda rpc: rpc.tx(bytes(32)),
    '{"result": {"validators": {}}}': lambda rpc: rpc.validators(1),
    '{"result": {"validators": [], "total": []}}': lambda rpc: rpc.validators(1),
    '{"result": {"sync_info": 1, "node_info": {}}}': lambda rpc: rpc.status(),
}


@pytest.mark.parametrize("body", SPOILED)
def test_a_member_of_the_wrong_kind_is_malformed(body: str) -> None:
    with answering(body.encode()) as address, pytest.raises(Malformed):
        SPOILED[body](RpcClient(address))


def test_a_node_that_names_validators_without_end_is_cut_off(steady: Any, set_of: Callable[..., Any]) -> None:
    one = validator_to_json(steady.validators(1)[0])
    endless = Route(
        lambda **_: {"validators": [one], "total": "1000000"},
        (HEIGHT, Parameter("page", Kind.INTEGER), Parameter("per_page", Kind.INTEGER)),
    )
    with served({"validators": endless}) as address, pytest.raises(Malformed):
        RpcClient(address).validators(1)
