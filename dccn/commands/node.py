"""`dccn node`: the chain on this machine."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dccn.homes import data_home
from dccn.output import Json, emit, listed, note

app = typer.Typer(no_args_is_help=True, help="Run a node of the chain, and ask it how it is.")

Home = Annotated[
    Path | None, typer.Option(help="Where settings, keys and blocks live. [default: ~/.local/share/dccn/node]")
]


class EngineName(StrEnum):
    """What puts transactions into blocks."""

    embedded = "embedded"
    cometbft = "cometbft"


Engine = Annotated[
    EngineName, typer.Option(help="What puts transactions into blocks; embedded is one machine, no fault tolerance.")
]


@app.command()
def init(
    home: Home = None,
    engine: Engine = EngineName.embedded,
    hub: Annotated[
        str | None,
        typer.Option(help="Address (ankr1…) of the hub that the genesis funds; default: a new hub beside the node."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a home with a new chain's genesis, the keys of its operators, and a funded hub.

    Four operators and fast blocks for the embedded engine; one operator and production intervals for CometBFT.
    """
    from chain.crypto import address
    from chain.node import home as node_home
    from fleet.hub.identity.keyfiles import open_account

    chosen = home or data_home("node")
    hub_address = address.decode(hub) if hub else open_account(data_home("hub")).address
    make = node_home.init_seed if engine is EngineName.cometbft else node_home.init_demo
    document = make(chosen, hub_address, time.time_ns())
    result = {"ok": True, "home": str(chosen), "chain_id": document["chain_id"], "hub": address.encode(hub_address)}
    emit(result, f"made chain {document['chain_id']} in {chosen}; its hub is {result['hub']}", as_json=as_json)


@app.command()
def run(
    home: Home = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="Instead of the engine that the home's config.toml names.")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Serve RPC on this address. [default: config.toml's, loopback]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the node in the foreground and serve CometBFT's RPC routes."""
    from chain.node import server

    server.run(home or data_home("node"), json_output=as_json, engine=engine and engine.value, listen=listen)


@app.command()
def invite(
    rpc: Annotated[
        list[str], typer.Option(metavar="URL", help="RPC of a node as others reach it; give two, of two nodes.")
    ],
    peer: Annotated[
        list[str] | None,
        typer.Option(metavar="ID@HOST:PORT", help="Whom to meet. [default: the peer addresses that the nodes name]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the one string with which another machine joins this network; it carries no secret."""
    from chain.node import joining

    if len(rpc) == 1:
        note("one RPC address stands for both: who joins has no second opinion")
        rpc = rpc * 2
    invitation = joining.invite(rpc, peer or ())
    text = invitation.encode()
    result = {
        "ok": True,
        "join": text,
        "chain_id": invitation.chain_id,
        "genesis_hash": invitation.genesis_hash.hex(),
        "trusted_height": invitation.trusted_height,
        "trusted_hash": invitation.trusted_hash.hex(),
        "rpc": list(invitation.rpc),
        "peers": list(invitation.peers),
    }
    emit(result, text, as_json=as_json)


@app.command()
def join(
    string: Annotated[str, typer.Argument(metavar="STRING", help="What dccn node invite printed.")],
    home: Home = None,
    moniker: Annotated[str, typer.Option(help="A name for humans.")] = "data-center",
    rpc_port: Annotated[int | None, typer.Option(help="Where this node's RPC listens. [default: 26657]")] = None,
    p2p_port: Annotated[int | None, typer.Option(help="Where other nodes meet this one. [default: 26656]")] = None,
    start: Annotated[bool, typer.Option(help="Run the node at once, or leave that to dccn node run.")] = True,
    as_json: Json = False,
) -> None:
    """Make a full node of the string's network, begin with a verified snapshot, and follow."""
    from chain.crypto import address
    from chain.node import home as node_home
    from chain.node import joining, server

    chosen = home or data_home("node")
    newest = joining.join(chosen, string, moniker=moniker, rpc_port=rpc_port, p2p_port=p2p_port)
    account = address.encode(address.address(node_home.load(chosen).operators[0].account.public))
    result = {"ok": True, "home": str(chosen), "chain_id": newest.chain_id, "verified_height": newest.height}
    result["operator"] = account
    what = f"joined chain {newest.chain_id}, verified up to height {newest.height}, in {chosen}"
    what += f"\nits operator's account is {account}; to produce blocks, fund it and run dccn node bond"
    if not start:
        emit(result, f"{what}; start it: dccn node run --home {chosen}", as_json=as_json)
        return
    note(what)
    server.run(chosen, json_output=as_json)


@app.command()
def status(
    rpc: Annotated[str, typer.Option(help="The node's RPC address.")] = "http://127.0.0.1:26657",
    as_json: Json = False,
) -> None:
    """Ask a running node for its height, its chain and its validators."""
    from chain.node import status as node_status

    document = node_status.status(rpc)
    emit(document, listed(document), as_json=as_json)
