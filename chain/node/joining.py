"""Joining a network by one string, and making that string: what is fetched is believed only where a hash says so."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chain.engines.cometbft.configuration import PeerSettings, StateSyncSettings
from chain.errors import DccnError, Faulty, Malformed, Refused
from chain.ledger.genesis import genesis_hash
from chain.light.client import DEFAULT_OPTIONS, LightClient
from chain.light.rpc import RpcClient
from chain.node import home as node_home
from chain.node.invitation import Invitation
from chain.node.keys import OperatorKeys
from chain.node.settings import RpcSettings, Settings
from chain.wire.cometbft import Header
from chain.wire.rfc3339 import parse_time

RPC_TIMEOUT_S = 30.0
OPERATOR = "operator"
"""The folder of the keys that a joining node makes for itself; the name on the chain is chosen with the bond."""
TRUST_DEPTH = 12_000
"""How far below the newest height an invitation trusts.

From a trusted height below the snapshot's (two stretches back at most), CometBFT skips forward in a few steps; from one
above it, it walks back header by header, and gives up after half a minute.
"""
MAX_GENESIS_CHUNKS = 16
"""CometBFT hands out a genesis document in pieces of 16 MB."""


def invite(rpc_urls: Sequence[str], peers: Sequence[str] = (), *, depth: int = TRUST_DEPTH) -> Invitation:
    """An invitation to the chain of two nodes that agree, which trusts the height `depth` below the newest of both.

    Nodes that do not have it any more are asked for the earliest that they have. Without `peers`, the nodes' own peer
    addresses are named. Raises Refused `light_invalid` when the nodes differ.
    """
    with _clients(rpc_urls) as clients:
        genesis = [genesis_hash(_genesis(client)) for client in clients]
        statuses = [client.status() for client in clients]
        newest = min(status.height for status in statuses)
        height = max(newest - depth, *(_earliest(client) for client in clients))
        headers = [client.signed_header(height).header.hash() for client in clients]
        if len(set(genesis)) > 1 or len(set(headers)) > 1:
            raise Refused("light_invalid", f"{' and '.join(rpc_urls)} are not of one chain at height {height}")
        named = tuple(peers) or tuple(dict.fromkeys(_peer_address(client) for client in clients))
        return Invitation(statuses[0].chain_id, genesis[0], height, headers[0], tuple(rpc_urls), named)


def join(
    home: Path,
    text: str,
    *,
    moniker: str = "",
    rpc_port: int | None = None,
    p2p_port: int | None = None,
    now_ns: Callable[[], int] = time.time_ns,
) -> Header:
    """Makes the home of a full node that will begin with a snapshot, and an operator's keys in it that may bond later.

    Returns the newest header that both nodes prove.

    Raises Malformed for the string, Unavailable for nodes that do not answer, Refused `light_invalid` and
    `light_expired` for what does not verify. Nothing is written before all of it is verified.
    """
    invitation = Invitation.decode(text.strip())
    if node_home.exists(home):
        raise Faulty("home_invalid", f"{home} holds the node of an earlier init or join")
    with _clients(invitation.rpc) as clients:
        newest = _verified(invitation, clients, now_ns)
        document = _trusted_genesis(invitation, clients)
    defaults = Settings()
    settings = replace(
        defaults,
        moniker=moniker or "data-center",
        engine="cometbft",
        rpc=RpcSettings(port=defaults.rpc.port if rpc_port is None else rpc_port),
        p2p=PeerSettings(
            port=defaults.p2p.port if p2p_port is None else p2p_port, persistent_peers=",".join(invitation.peers)
        ),
        statesync=StateSyncSettings(
            rpc_servers=",".join(invitation.rpc),
            trust_height=invitation.trusted_height,
            trust_hash=invitation.trusted_hash.hex(),
            trust_period_s=DEFAULT_OPTIONS.trusting_period_ns // 10**9,
        ),
    )
    node_home.init(
        home,
        chain_id=invitation.chain_id,
        genesis_time_ns=parse_time(document["genesis_time"]),
        app_state=document["app_state"],
        operators=[OperatorKeys.generate(OPERATOR)],
        settings=settings,
    )
    return newest


def _verified(invitation: Invitation, clients: Sequence[RpcClient], now_ns: Callable[[], int]) -> Header:
    """The newest header, led to from the trusted one by each node while the other may contradict."""
    newest = []
    for client in clients:
        others = [each for each in clients if each is not client]
        light = LightClient(
            client,
            invitation.chain_id,
            invitation.trusted_height,
            invitation.trusted_hash,
            witnesses=others,
            now_ns=now_ns,
        )
        newest.append(light.update())
    return max(newest, key=lambda header: header.height)


def _trusted_genesis(invitation: Invitation, clients: Sequence[RpcClient]) -> Mapping[str, Any]:
    """The genesis document of the hash that the invitation names, from whichever node has it."""
    failures: list[DccnError] = []
    for client in clients:
        try:
            document = _genesis(client)
            found = genesis_hash(document)
        except DccnError as error:
            failures.append(error)
            continue
        if (found, document["chain_id"]) == (invitation.genesis_hash, invitation.chain_id):
            return document
        what = f"genesis of {client.url} has hash {found.hex()}, expected {invitation.genesis_hash.hex()}"
        failures.append(Refused("light_invalid", f"the {what}"))
    raise failures[0]


def _genesis(client: RpcClient) -> Mapping[str, Any]:
    pieces: list[bytes] = []
    total = 1
    while len(pieces) < total:
        piece = client.call("genesis_chunked", chunk=str(len(pieces)))
        try:
            total = int(piece["total"])
            pieces.append(base64.b64decode(piece["data"], validate=True))
        except (KeyError, TypeError, ValueError):
            raise Malformed("malformed", f"{client.url} answers genesis_chunked with something else") from None
        if not 0 < total <= MAX_GENESIS_CHUNKS:
            raise Malformed("too_large", f"{client.url} has a genesis of {total} pieces, at most {MAX_GENESIS_CHUNKS}")
    try:
        document = json.loads(b"".join(pieces))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Malformed("malformed", f"the genesis of {client.url} is not a JSON object")
    return document


def _earliest(client: RpcClient) -> int:
    """The lowest height whose block a node has."""
    sync: Any = client.call("status").get("sync_info")
    try:
        return max(1, int(sync["earliest_block_height"]))
    except (KeyError, TypeError, ValueError):
        raise Malformed("malformed", f"{client.url} does not tell its earliest block") from None


def _peer_address(client: RpcClient) -> str:
    """`id@host:port` of a node by its own word; one that listens everywhere is met where its RPC is."""
    node: Any = client.call("status").get("node_info")
    try:
        address = urlsplit(str(node["listen_addr"]) if "://" in node["listen_addr"] else f"tcp://{node['listen_addr']}")
        host, port = address.hostname or "", address.port
        if host in ("", "0.0.0.0", "::"):
            host = urlsplit(client.url).hostname or ""
        return f"{node['id']}@{f'[{host}]' if ':' in host else host}:{port}"
    except (KeyError, TypeError, ValueError):
        raise Malformed("malformed", f"{client.url} does not tell its peer address; name the peers") from None


@contextmanager
def _clients(urls: Sequence[str]) -> Iterator[list[RpcClient]]:
    with ExitStack() as opened:
        yield [opened.enter_context(closing(RpcClient(url, RPC_TIMEOUT_S))) for url in urls]
