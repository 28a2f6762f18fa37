"""`dccn node index`: a searchable history beside the node, in a process of its own."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from chain.errors import Unavailable
from chain.signals import call_on
from dccn.homes import data_home
from dccn.output import Json, emit, note
from dccn.wallets import DEFAULT_NODE, Rpc

if TYPE_CHECKING:
    from chain.history.indexer import Progress

app = typer.Typer(
    no_args_is_help=True,
    help="A searchable history of the chain: follow blocks into a file, look at it with dccn query history or a page.",
)

Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="FILE|URL",
        help="The index: a file or postgresql://USER@HOST/DATABASE. "
        "[default: ~/.local/share/dccn/index/history.sqlite]",
    ),
]
PAUSE_S, PAUSE_MAX_S = 0.5, 30.0


def index_place(chosen: str | None) -> str:
    """The path or URL of the index."""
    return chosen or str(data_home("index") / "history.sqlite")


@app.command()
def run(
    rpc: Rpc = DEFAULT_NODE,
    db: Database = None,
    trust: Annotated[
        str | None,
        typer.Option(metavar="HEIGHT:HASH", help="A header that somebody vouches for; the index must lead to it."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop when the newest block is reached.")] = False,
    as_json: Json = False,
) -> None:
    """Follow a node into the index until stopped; may be killed at any time and goes on where it was."""
    from chain.history.indexer import Indexer
    from chain.history.store import open_index
    from chain.light.rpc import RpcClient
    from chain.wallet.trust import Trust

    named = None if trust is None else Trust.parse(trust)
    index = open_index(index_place(db))
    vouched = None if named is None else (named.height, named.hash)
    indexer = Indexer(RpcClient(rpc, timeout_s=30.0), index, vouched)
    stop = stopped_by_signals()

    wait_s = PAUSE_S

    def told(progress: Progress) -> None:
        nonlocal wait_s
        wait_s = PAUSE_S
        if as_json:
            event = {
                "event": "indexed",
                "blocks": progress.blocks,
                "height": progress.height,
                "newest": progress.newest,
            }
            print(json.dumps(event, separators=(",", ":")), flush=True)
        else:
            note(f"indexed to height {progress.height} of {progress.newest}")

    while not stop.is_set():
        try:
            indexer.follow(told, lambda: not once and not stop.wait(PAUSE_S), stop.is_set)
            break
        except Unavailable as error:
            if once:
                raise
            note(f"dccn: {error}; again in {wait_s:.0f} s")
            stop.wait(wait_s)
            wait_s = min(PAUSE_MAX_S, wait_s * 2)
    if once:
        height = indexer.height
        emit({"ok": True, "db": index.name, "height": height}, f"{index.name}: height {height}", as_json=as_json)


@app.command()
def serve(
    db: Database = None,
    rpc: Annotated[
        str | None, typer.Option(help="RPC address of a node: pages also show, proven, what the state says now.")
    ] = None,
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="Where the page listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8090,
    as_json: Json = False,
) -> None:
    """Show the index as plain pages: blocks, transactions, addresses, devices, deals."""
    from chain.history.explorer.server import page_server
    from chain.history.store import read_index

    server = page_server(read_index(index_place(db)), listen, port, rpc)
    stop = stopped_by_signals()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://{listen}:{server.server_address[1]}"
    emit({"event": "ready", "url": url}, f"the explorer is at {url}", as_json=as_json)
    stop.wait()
    server.shutdown()


def stopped_by_signals() -> threading.Event:
    """Set by SIGTERM and SIGINT; outside of the main thread only by whoever holds it."""
    stop = threading.Event()
    call_on(stop.set, signal.SIGTERM, signal.SIGINT)
    return stop
