"""`dccn genesis`: how a network of several operators begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from chain.errors import Faulty
from dccn.homes import data_home
from dccn.output import Json, emit, note, read_json

app = typer.Typer(
    no_args_is_help=True,
    help="Begin a network: each operator makes its keys and shows its card, one builds the document, all check it.",
)

Home = Annotated[Path | None, typer.Option(help="The node's home. [default: ~/.local/share/dccn/node]")]


@app.command()
def operator(
    name: Annotated[str, typer.Argument(help="The operator's name.")],
    home: Home = None,
) -> None:
    """Make an operator's keys in a node's home, and print its card: what the plan needs of it, nothing secret."""
    import msgspec

    from chain.crypto.address import address, encode
    from chain.engines.cometbft.configuration import node_id
    from chain.node import keys
    from chain.node.genesis_plan import OperatorCard
    from chain.node.home import exists, operators_path

    chosen = home or data_home("node")
    folder = operators_path(chosen) / name
    if exists(chosen) or folder.exists():
        raise Faulty("home_invalid", f"{chosen} holds a node or an operator of this name already")
    made = keys.OperatorKeys.generate(name)
    keys.write(folder, made)
    consensus, vrf = made.pair
    identifier = node_id(chosen / "cometbft")
    card = OperatorCard(name, encode(address(made.account.public)), consensus.hex(), vrf.hex(), identifier)
    print(msgspec.json.format(msgspec.json.encode(card), indent=2).decode())
    note(f"dccn: keys in {folder}: copy them to a safe place")


@app.command()
def build(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="See docs/data-center.md.")],
    out: Annotated[Path, typer.Option(help="Where the genesis document goes.")] = Path("genesis.json"),
    as_json: Json = False,
) -> None:
    """Make the genesis document of a plan; it is checked, its sums are shown, and every operator gets the same file."""
    from chain import files
    from chain.node.genesis_plan import build as built

    document = built(plan)
    files.replace(out, (json.dumps(document, indent=2) + "\n").encode(), mode=files.PUBLIC_MODE)
    _tell(document, f"written to {out}", as_json)


@app.command()
def check(
    document: Annotated[Path, typer.Argument(metavar="genesis.json", help="What somebody built.")],
    as_json: Json = False,
) -> None:
    """Check a genesis document and show its sums and its hash, which all operators must see alike."""
    _tell(read_json(str(document)), str(document), as_json)


@app.command()
def adopt(
    document: Annotated[Path, typer.Argument(metavar="genesis.json", help="What all operators checked.")],
    peer: Annotated[
        list[str] | None, typer.Option(metavar="ID@HOST:PORT", help="The other operators' nodes; give each.")
    ] = None,
    home: Home = None,
    rpc_port: Annotated[int, typer.Option(help="Where this node's RPC listens.")] = 26657,
    p2p_port: Annotated[int, typer.Option(help="Where other nodes meet this one.")] = 26656,
    p2p_host: Annotated[str, typer.Option(help="On which address they do; 0.0.0.0 for all.")] = "127.0.0.1",
    as_json: Json = False,
) -> None:
    """Make the home of an operator's node out of the document and the keys that are there; then dccn node run."""
    from dataclasses import replace

    from chain.crypto.address import address
    from chain.engines.cometbft.configuration import PeerSettings, node_id
    from chain.ledger.genesis import Genesis
    from chain.node import home as node_home
    from chain.node import keys
    from chain.node.settings import RpcSettings, Settings

    chosen, content = home or data_home("node"), read_json(str(document))
    genesis = Genesis.parse_document(content)
    folders = [folder for folder in node_home.operators_path(chosen).glob("*") if folder.is_dir()]
    if len(folders) != 1:
        raise Faulty("home_invalid", f"{chosen} holds the keys of {len(folders)} operators, not of one")
    own = keys.read(folders[0])
    if (address(own.account.public), own.pair) not in {
        (each.address, pair) for each in genesis.operators for pair in each.keys
    }:
        raise Faulty("home_invalid", f"{document} does not name the operator {own.name} of {chosen} with its keys")
    settings = replace(
        Settings(),
        moniker=own.name,
        engine="cometbft",
        rpc=RpcSettings(port=rpc_port),
        p2p=PeerSettings(host=p2p_host, port=p2p_port, persistent_peers=",".join(peer or ())),
    )
    node_home.init(
        chosen,
        chain_id=genesis.chain_id,
        genesis_time_ns=genesis.time_ns,
        app_state=content["app_state"],
        operators=[own],
        settings=settings,
    )
    identifier = node_id(chosen / "cometbft")
    result = {"ok": True, "home": str(chosen), "chain_id": genesis.chain_id, "node_id": identifier}
    emit(result, f"{chosen} is a node of {genesis.chain_id}; its id is {identifier}", as_json=as_json)


def _tell(document: dict[str, Any], what: str, as_json: bool) -> None:
    from chain.ledger.genesis import Genesis, genesis_hash
    from chain.node.genesis_plan import as_table, sums
    from chain.wire.amounts import format_ankr

    genesis = Genesis.parse_document(document)
    rows, digest = sums(genesis), genesis_hash(document).hex()
    result = {
        "ok": True,
        "chain_id": genesis.chain_id,
        "genesis_hash": digest,
        "operators": [each.name for each in genesis.operators],
        "shares": {
            row.name: {
                "amount": format_ankr(row.amount_atto),
                "granted": format_ankr(row.granted_atto),
                "bonded": format_ankr(row.bonded_atto),
                "vesting": format_ankr(row.vesting_atto),
                "reserved": format_ankr(row.left_atto),
            }
            for row in rows
        },
    }
    names = ", ".join(each.name for each in genesis.operators)
    text = f"{what}\n\n{as_table(rows)}\n\nchain {genesis.chain_id}, operators {names}\ngenesis hash {digest}"
    emit(result, text, as_json=as_json)
