"""CometBFT's home, made of ours: its settings, its node key, and pointers to our genesis document and consensus key.

```
config/config.toml               written anew at every start; what is not in it has CometBFT's default
config/node_key.json             the peer identity, made once
data/                            CometBFT's own: blocks, state, write-ahead log, what the key has signed
```
Genesis document and consensus key are read where `dccn node init` put them, so that no second copy can differ.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain import files
from chain.crypto.address import validator_address
from chain.crypto.keys import PrivateKey
from chain.errors import Faulty

SEND_RATE_BYTES_S = RECV_RATE_BYTES_S = 5_120_000
_PRIVATE_TYPE = "tendermint/PrivKeyEd25519"
_ED25519: Final = "ed25519"


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """How this node meets others. `seeds` and `persistent_peers` are `id@host:port`, separated by commas."""

    host: str = "127.0.0.1"
    port: int = 26_656
    external_address: str = ""
    seeds: str = ""
    persistent_peers: str = ""
    pex: bool = True
    # Private and loopback addresses in the address book, several peers behind one address: for networks at home.
    local_network: bool = True
    max_inbound: int = 40
    max_outbound: int = 10


@dataclass(frozen=True, slots=True)
class StateSyncSettings:
    """How a node without blocks begins with a snapshot; without `rpc_servers` it begins with the genesis.

    `rpc_servers` are two URLs or more, separated by commas; `trust_hash` is the header's at `trust_height`, in hex.
    """

    rpc_servers: str = ""
    trust_height: int = 0
    trust_hash: str = ""
    trust_period_s: int = 14 * 86_400


@dataclass(frozen=True, slots=True)
class CometConfiguration:
    """All that `config.toml` is made of. Paths are absolute; intervals are the chain's parameters.

    `consensus_key` is None for a node without an operator: CometBFT then makes a key that never gets a seat.
    `metrics` is the host:port where CometBFT serves its own, empty for nowhere.
    """

    folder: Path
    moniker: str
    abci_socket: Path
    genesis: Path
    consensus_key: Path | None
    rpc_host: str
    rpc_port: int
    rpc_max_connections: int
    rpc_max_body_bytes: int
    peers: PeerSettings
    block_interval_ms: int
    empty_block_interval_ms: int
    mempool_size: int
    mempool_max_txs_bytes: int
    mempool_max_tx_bytes: int
    mempool_cache_size: int
    statesync: StateSyncSettings = StateSyncSettings()
    log_level: str = "main:info,state:error,p2p:error,*:error"
    log_format: str = "plain"
    metrics: str = ""


def prepare(configuration: CometConfiguration) -> str:
    """Makes or renews the home; returns the node's id. Raises Faulty `state_corrupt` if signing could go twice.

    What the key has signed is kept by CometBFT in a file that only the first start may make.
    """
    folder = configuration.folder
    own_id = node_id(folder)
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    signed = folder / "data" / "priv_validator_state.json"
    if not signed.exists() and configuration.consensus_key is not None:
        if (folder / "data" / "blockstore.db").exists():
            raise Faulty("state_corrupt", f"blocks are stored, but {signed}, which says what was signed, is gone")
        files.replace(signed, json.dumps({"height": "0", "round": 0, "step": 0}).encode())
    files.replace(folder / "config" / "config.toml", render(configuration).encode())
    return own_id


def node_id(folder: Path) -> str:
    """The id under which peers know the node of this home: its key's address in hex. The key is made if need be."""
    (folder / "config").mkdir(mode=0o700, parents=True, exist_ok=True)
    return validator_address(_node_key(folder / "config" / "node_key.json").public.x).hex()


def render(c: CometConfiguration) -> str:
    """The text of config.toml."""
    peers = c.peers
    own_key = c.folder / "config" / "priv_validator_key.json"
    tables: Mapping[str, Mapping[str, str | int | bool]] = {
        "": {
            "proxy_app": f"unix://{c.abci_socket}",
            "moniker": c.moniker,
            "abci": "socket",
            "db_backend": "goleveldb",
            "log_level": c.log_level,
            "log_format": c.log_format,
            "genesis_file": str(c.genesis),
            "priv_validator_key_file": str(c.consensus_key or own_key),
            "priv_validator_state_file": "data/priv_validator_state.json",
            "node_key_file": "config/node_key.json",
        },
        "rpc": {
            "laddr": f"tcp://{_bracketed(c.rpc_host)}:{c.rpc_port}",
            "max_open_connections": c.rpc_max_connections,
            "max_body_bytes": c.rpc_max_body_bytes,
            "pprof_laddr": "",
        },
        "p2p": {
            "laddr": f"tcp://{_bracketed(peers.host)}:{peers.port}",
            "external_address": peers.external_address,
            "seeds": peers.seeds,
            "persistent_peers": peers.persistent_peers,
            "pex": peers.pex,
            "addr_book_strict": not peers.local_network,
            "allow_duplicate_ip": peers.local_network,
            "max_num_inbound_peers": peers.max_inbound,
            "max_num_outbound_peers": peers.max_outbound,
            "send_rate": SEND_RATE_BYTES_S,
            "recv_rate": RECV_RATE_BYTES_S,
        },
        "mempool": {
            "recheck": True,
            "broadcast": True,
            "size": c.mempool_size,
            "max_txs_bytes": c.mempool_max_txs_bytes,
            "max_tx_bytes": c.mempool_max_tx_bytes,
            "cache_size": c.mempool_cache_size,
        },
        "consensus": {
            "timeout_commit": f"{c.block_interval_ms}ms",
            "skip_timeout_commit": False,
            "create_empty_blocks": True,
            "create_empty_blocks_interval": f"{max(c.block_interval_ms, c.empty_block_interval_ms)}ms",
        },
        # CometBFT passes it over once it has a block.
        "statesync": {
            "enable": bool(c.statesync.rpc_servers),
            "rpc_servers": c.statesync.rpc_servers,
            "trust_height": c.statesync.trust_height,
            "trust_hash": c.statesync.trust_hash,
            "trust_period": f"{c.statesync.trust_period_s}s",
            "discovery_time": "5s",
        },
        "tx_index": {"indexer": "kv"},
        "instrumentation": {"prometheus": bool(c.metrics), "prometheus_listen_addr": c.metrics},
    }
    head = "# Written by dccn at every start; change the settings in the node's own config.toml.\n"
    return head + "\n".join(_table(name, values) for name, values in tables.items())


def _table(name: str, values: Mapping[str, str | int | bool]) -> str:
    # A JSON string, number or boolean is TOML, too.
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines] if name else lines) + "\n"


def _node_key(path: Path) -> PrivateKey:
    if not path.exists():
        key = PrivateKey.generate(_ED25519)
        value = base64.b64encode(key.secret + key.public.x).decode()
        files.replace(path, json.dumps({"priv_key": {"type": _PRIVATE_TYPE, "value": value}}).encode())
        return key
    try:
        secret = base64.b64decode(json.loads(path.read_text("utf-8"))["priv_key"]["value"], validate=True)
        return PrivateKey.from_secret(_ED25519, secret[:32])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise Faulty("home_invalid", f"{path} cannot be read: {error}") from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
