"""`dccn node`: the chain on this machine."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dccn.homes import data_home
from dccn.output import Json, emit, listed

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
def status(
    rpc: Annotated[str, typer.Option(help="The node's RPC address.")] = "http://127.0.0.1:26657",
    as_json: Json = False,
) -> None:
    """Ask a running node for its height, its chain and its validators."""
    from chain.node import status as node_status

    document = node_status.status(rpc)
    emit(document, listed(document), as_json=as_json)
