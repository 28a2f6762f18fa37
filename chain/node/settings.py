"""What an operator may change about a node: `config/config.toml`, read strictly and written with comments.

Nothing here is part of consensus: intervals, fees and limits of the chain are parameters in the genesis document.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields, is_dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from chain.engines.cometbft.configuration import PeerSettings, StateSyncSettings
from chain.errors import Malformed

DEFAULT_RPC_PORT = 26657
# Two weeks of blocks of one second: as far back as a light client may trust. Evidence is good for 100 000 blocks.
RETAINED_BLOCKS, MIN_RETAINED_BLOCKS = 1_300_000, 100_000
_HASH = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
ENGINES = ("embedded", "cometbft")
# Two snapshots are kept, and who begins with one needs all blocks since.
SNAPSHOT_INTERVAL = 5_000
MAY_BE_ZERO = (
    "rpc.port",
    "p2p.port",
    "storage.retained_blocks",
    "storage.snapshot_interval",
    "p2p.max_inbound",
    "p2p.max_outbound",
    "statesync.trust_height",
    "metrics.port",
    "metrics.cometbft_port",
)
LOG_FORMATS = ("plain", "json")


@dataclass(frozen=True, slots=True)
class RpcSettings:
    host: str = "127.0.0.1"
    port: int = DEFAULT_RPC_PORT
    port_may_move: bool = False
    max_open_connections: int = 900
    max_body_bytes: int = 1_000_000


@dataclass(frozen=True, slots=True)
class MempoolSettings:
    size: int = 5_000
    max_txs_bytes: int = 64 * 1024 * 1024
    max_tx_bytes: int = 1024 * 1024
    cache_size: int = 10_000


@dataclass(frozen=True, slots=True)
class StorageSettings:
    history_heights: int = 128
    retained_blocks: int = RETAINED_BLOCKS
    snapshot_interval: int = SNAPSHOT_INTERVAL


@dataclass(frozen=True, slots=True)
class CometSettings:
    binary: str = ""
    log_level: str = "main:info,state:error,p2p:error,*:error"
    log_format: str = "plain"


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where Prometheus finds what the node measures, and what CometBFT does; port 0 serves nothing."""

    host: str = "127.0.0.1"
    port: int = 0
    cometbft_port: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    moniker: str = "seed"
    engine: str = "embedded"
    rpc: RpcSettings = RpcSettings()
    mempool: MempoolSettings = MempoolSettings()
    storage: StorageSettings = StorageSettings()
    p2p: PeerSettings = PeerSettings()  # noqa: RUF009  # frozen, so it may be shared
    cometbft: CometSettings = CometSettings()
    metrics: MetricsSettings = MetricsSettings()
    statesync: StateSyncSettings = StateSyncSettings()  # noqa: RUF009  # frozen, too

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise Malformed("usage", f"engine is {self.engine!r}, expected one of {', '.join(ENGINES)}")
        places = (
            ("rpc.port", self.rpc.port),
            ("p2p.port", self.p2p.port),
            ("metrics.port", self.metrics.port),
            ("metrics.cometbft_port", self.metrics.cometbft_port),
        )
        for name, port in places:
            if not 0 <= port <= 65_535:
                raise Malformed("usage", f"{name} is {port}, expected 0 to 65535")
        for name, host in (("rpc", self.rpc.host), ("p2p", self.p2p.host), ("metrics", self.metrics.host)):
            try:
                ip_address(host)
            except ValueError:
                raise Malformed("usage", f"{name}.host is {host!r}, expected an IP address") from None
        if self.cometbft.log_format not in LOG_FORMATS:
            expected = " or ".join(LOG_FORMATS)
            raise Malformed("usage", f"cometbft.log_format is {self.cometbft.log_format!r}, expected {expected}")
        if 0 < self.storage.retained_blocks < MIN_RETAINED_BLOCKS:
            least = f"0 or at least {MIN_RETAINED_BLOCKS}"
            raise Malformed("usage", f"storage.retained_blocks is {self.storage.retained_blocks}, expected {least}")
        if 0 < self.storage.retained_blocks < 4 * self.storage.snapshot_interval:
            most = f"at most a quarter of storage.retained_blocks, {self.storage.retained_blocks // 4}"
            raise Malformed("usage", f"storage.snapshot_interval is {self.storage.snapshot_interval}, expected {most}")
        if self.statesync.rpc_servers and (
            self.statesync.rpc_servers.count(",") < 1
            or self.statesync.trust_height < 1
            or not _HASH.fullmatch(self.statesync.trust_hash)
        ):
            raise Malformed("usage", "statesync needs two rpc_servers, a trust_height, and a trust_hash of 64 digits")
        if self.storage.history_heights < 100:
            raise Malformed("usage", f"storage.history_heights is {self.storage.history_heights}, expected 100 or more")
        for name, value in _numbers(self):
            if value < 1 and name not in MAY_BE_ZERO:
                raise Malformed("usage", f"{name} is {value}, expected 1 or more")


def read(path: Path) -> Settings:
    """The settings in a file; raises Malformed("usage") that names the wrong line's key."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return Settings()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Malformed("usage", f"{path}: {error}") from None
    return _fill(Settings, content, "")


def template(settings: Settings) -> str:
    """A commented file with these settings."""
    return f"""\
# Settings of this node; a change takes effect at the next start. What the chain itself demands (intervals, fees,
# limits) stands in genesis.json and is the same for everybody.

# A name for humans.
moniker = "{settings.moniker}"
# "embedded": all validators of this home in one process on one machine, without fault tolerance.
# "cometbft": one validator of a network; CometBFT runs beside the ledger and serves RPC.
engine = "{settings.engine}"

[rpc]
# Where RPC listens. Keep loopback and put a reverse proxy in front of it to serve others. Port 0 takes a free one.
host = "{settings.rpc.host}"
port = {settings.rpc.port}
# Whether to take a free port when another program has this one (the ready line names it), instead of stopping.
port_may_move = {str(settings.rpc.port_may_move).lower()}
# Connections beyond this are answered with status 503.
max_open_connections = {settings.rpc.max_open_connections}
# Larger requests are refused; a transaction travels as base64, one third larger than it is.
max_body_bytes = {settings.rpc.max_body_bytes}

[mempool]
# How many transactions wait at most, and their bytes together and each.
size = {settings.mempool.size}
max_txs_bytes = {settings.mempool.max_txs_bytes}
max_tx_bytes = {settings.mempool.max_tx_bytes}
# Hashes of transactions seen lately, so that a repeated one costs nothing.
cache_size = {settings.mempool.cache_size}

[storage]
# For how many past heights the state can be queried and proven; at least 100.
history_heights = {settings.storage.history_heights}
# How many blocks CometBFT keeps; 0 keeps all. Never fewer than evidence may be old (100 000 blocks).
retained_blocks = {settings.storage.retained_blocks}
# A snapshot of the state is written in every stretch of this many heights, and the last two are kept for nodes that
# join (behind CometBFT only); 0 writes none.
snapshot_interval = {settings.storage.snapshot_interval}

[p2p]
# Where CometBFT meets other nodes, and the address that they should use if it is another one (host:port).
host = "{settings.p2p.host}"
port = {settings.p2p.port}
external_address = "{settings.p2p.external_address}"
# Nodes to ask for peers, and peers to stay connected with: id@host:port, separated by commas.
seeds = "{settings.p2p.seeds}"
persistent_peers = "{settings.p2p.persistent_peers}"
# Whether peers tell each other about further peers.
pex = {str(settings.p2p.pex).lower()}
# Whether private addresses, and several peers behind one address, are welcome.
local_network = {str(settings.p2p.local_network).lower()}
max_inbound = {settings.p2p.max_inbound}
max_outbound = {settings.p2p.max_outbound}

[statesync]
# How a node without blocks begins: from a snapshot of its peers, at a height that CometBFT's light client verifies with
# two RPC servers or more (separated by commas) from a trusted height and hash. Empty begins with the genesis.
rpc_servers = "{settings.statesync.rpc_servers}"
trust_height = {settings.statesync.trust_height}
trust_hash = "{settings.statesync.trust_hash}"
trust_period_s = {settings.statesync.trust_period_s}

[cometbft]
# The program; empty takes the one that `make engines` brought, or the one on the PATH.
binary = "{settings.cometbft.binary}"
# What its log, cometbft/cometbft.log, tells, and how: "plain" or "json".
log_level = "{settings.cometbft.log_level}"
log_format = "{settings.cometbft.log_format}"

[metrics]
# Where Prometheus finds /metrics of this node, and CometBFT's own; port 0 serves nothing. docs/metrics.md lists them.
host = "{settings.metrics.host}"
port = {settings.metrics.port}
cometbft_port = {settings.metrics.cometbft_port}
"""


_T = TypeVar("_T")


def _fill(kind: type[_T], content: dict[str, Any], prefix: str) -> _T:
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in content.items():
        expected = hints.get(name)
        if expected is None:
            raise Malformed("usage", f"config.toml: nothing is called {prefix}{name}")
        if isinstance(expected, type) and is_dataclass(expected):
            if not isinstance(value, dict):
                raise Malformed("usage", f"config.toml: {prefix}{name} is a table")
            values[name] = _fill(expected, value, f"{prefix}{name}.")
        elif type(value) is not expected:
            raise Malformed("usage", f"config.toml: {prefix}{name} is {value!r}, expected {expected.__name__}")
        else:
            values[name] = value
    return kind(**values)


def _numbers(settings: Settings) -> list[tuple[str, int]]:
    tables: tuple[tuple[str, Any], ...] = (
        ("rpc", settings.rpc),
        ("mempool", settings.mempool),
        ("storage", settings.storage),
        ("p2p", settings.p2p),
        ("statesync", settings.statesync),
        ("metrics", settings.metrics),
    )
    pairs = [
        (f"{table}.{each.name}", getattr(values, each.name)) for table, values in tables for each in fields(values)
    ]
    return [(name, value) for name, value in pairs if type(value) is int]
