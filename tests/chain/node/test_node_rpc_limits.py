"""The RPC server keeps its bound of connections and stops while clients are connected."""

from __future__ import annotations

import asyncio

from chain.node.rpc import Route, RpcLimits, rpc_application
from chain.node.rpc_server import RpcServer
from chain.web.listening import bind, url_of

REQUEST = b"GET /health HTTP/1.1\r\nHost: node\r\n\r\n"


async def status_line(port: int) -> tuple[bytes, asyncio.StreamWriter]:
    """The first line of an answer over a connection that stays open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    return await reader.readline(), writer


async def test_connections_over_the_limit_are_turned_away_and_make_room_again() -> None:
    limits = RpcLimits(connections=3)
    listening = bind("127.0.0.1", 0, may_move=False)
    port = int(url_of(listening).rsplit(":", 1)[1])
    server = RpcServer(rpc_application({"health": Route(dict)}, limits), limits)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await server.up.wait()
    answers = [await status_line(port) for _ in range(4)]
    assert [line.split()[1] for line, _ in answers] == [b"200", b"200", b"200", b"503"]
    for _, writer in answers[:2]:
        writer.close()
        await writer.wait_closed()
    while len(server.server_state.connections) > 2:  # noqa: ASYNC110  # uvicorn has no event for a connection that ends
        await asyncio.sleep(0)
    line, writer = await status_line(port)
    assert line.split()[1] == b"200"
    server.stop()
    await asyncio.wait_for(serving, 10)
    for _, each in (*answers, (line, writer)):
        each.close()
