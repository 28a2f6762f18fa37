"""A node's home: settings, genesis document and keys, made once and read at every start.

```
config/config.toml                              settings, commented
config/genesis.json                             CometBFT's genesis document with our app_state
config/operators/<name>/priv_validator_key.json consensus key, in CometBFT's form
config/operators/<name>/vrf_key.json            VRF key
config/operators/<name>/account_key.json        the operator's account, which is paid
data/                                           state, blocks, sign state
```
Folders have mode 0700, key files 0600.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chain import files
from chain.crypto.address import validator_address
from chain.errors import DccnError, Faulty
from chain.ledger.genesis import Genesis, build_demo_app_state
from chain.ledger.parameters import Parameters
from chain.node import keys
from chain.node import settings as node_settings
from chain.node.keys import OperatorKeys
from chain.node.settings import RpcSettings, Settings
from chain.wire.cometbft import ConsensusParams, format_time

DEMO_OPERATORS = 4
# The power of a seat where CometBFT orders: a unit of it draws proposers and weighs nothing (application/proposers).
NETWORK_POWER = 10**9


@dataclass(frozen=True, slots=True)
class Home:
    """A home as read; `document` is genesis.json as it stands, `genesis` what it says."""

    path: Path
    settings: Settings
    document: Mapping[str, Any]
    genesis: Genesis
    consensus_params: ConsensusParams
    operators: tuple[OperatorKeys, ...]

    @property
    def data(self) -> Path:
        return self.path / "data"


def exists(home: Path) -> bool:
    """Whether a node was initialised here; the genesis document is written last."""
    return _genesis_path(home).is_file()


def init(
    home: Path,
    *,
    chain_id: str,
    genesis_time_ns: int,
    app_state: Mapping[str, Any],
    operators: Iterable[OperatorKeys],
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Makes a home whose validators are all of `app_state`; `operators` are the keys that this node holds.

    Returns the genesis document. Raises Faulty `home_invalid` if there is one already, Malformed for a wrong app_state.
    """
    if exists(home):
        raise Faulty("home_invalid", f"{home} holds the node of an earlier init")
    genesis = Genesis.parse(chain_id, genesis_time_ns, app_state)
    written = document(genesis, app_state)
    for folder in (home, home / "data", home / "config", operators_path(home)):
        folder.mkdir(mode=files.FOLDER_MODE, parents=True, exist_ok=True)
    for operator in operators:
        keys.write(operators_path(home) / operator.name, operator)
    files.replace(_config_path(home), node_settings.template(settings or Settings()).encode())
    files.replace(_genesis_path(home), (json.dumps(written, indent=2) + "\n").encode())
    return written


def init_demo(home: Path, hub_address: bytes, now_ns: int) -> dict[str, Any]:
    """Makes a home with four operators whose keys it holds, and a hub that is funded; returns the genesis document."""
    operators = [OperatorKeys.generate(f"seed-{number}") for number in range(1, DEMO_OPERATORS + 1)]
    app_state = build_demo_app_state(
        hub_address,
        [(each.name, each.account.public, *each.pair) for each in operators],
    )
    return init(
        home,
        chain_id=f"dccn-demo-{secrets.token_hex(4)}",
        genesis_time_ns=now_ns,
        app_state=app_state,
        operators=operators,
        settings=replace(Settings(), moniker="demo", rpc=RpcSettings(port_may_move=True)),
    )


def init_seed(home: Path, hub_address: bytes, now_ns: int) -> dict[str, Any]:
    """Makes the home of a network's first node: CometBFT, production intervals, one operator, and a funded hub."""
    operator = OperatorKeys.generate("seed-1")
    row = (operator.name, operator.account.public, *operator.pair)
    return init(
        home,
        chain_id=f"dccn-{secrets.token_hex(4)}",
        genesis_time_ns=now_ns,
        app_state=build_demo_app_state(hub_address, [row], Parameters(validator_power=NETWORK_POWER)),
        operators=[operator],
        settings=replace(Settings(), engine="cometbft"),
    )


def load(home: Path) -> Home:
    """Reads a home; raises Faulty `home_invalid` or Malformed `usage` with the file that is wrong."""
    if not exists(home):
        raise Faulty("home_invalid", f"{home} holds no node; make one with dccn node init --home {home}")
    document = keys.read_json(_genesis_path(home))
    try:
        genesis = Genesis.parse_document(document)
    except DccnError as error:
        raise Faulty("home_invalid", f"{_genesis_path(home)}: {error.message}") from error
    folders = sorted(path for path in operators_path(home).glob("*") if path.is_dir())
    return Home(
        home,
        node_settings.read(_config_path(home)),
        document,
        genesis,
        _consensus_params(document),
        tuple(keys.read(folder) for folder in folders),
    )


def rpc_port_file(home: Home) -> Path:
    """Where a node whose port may move keeps the one that it moved to."""
    return home.data / "rpc-port"


def rpc_url(home: Home) -> str:
    """Where the node of this home answers, or would."""
    rpc = home.settings.rpc
    moved = files.read(rpc_port_file(home), 16) if rpc.port_may_move else None
    port = int(moved) if moved is not None and moved.strip().isdigit() else rpc.port
    return f"http://{f'[{rpc.host}]' if ':' in rpc.host else rpc.host}:{port}"


def document(genesis: Genesis, app_state: Mapping[str, Any]) -> dict[str, Any]:
    """CometBFT's genesis document; every 64-bit integer in it is a string."""
    names = {key: operator.name for operator in genesis.operators for key, _ in operator.keys}
    params = ConsensusParams()
    return {
        "genesis_time": format_time(genesis.time_ns),
        "chain_id": genesis.chain_id,
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(params.max_bytes), "max_gas": str(params.max_gas)},
            "evidence": {"max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576"},
            "validator": {"pub_key_types": [keys.ED25519]},
            "version": {"app": "1"},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {
                "address": validator_address(public).hex().upper(),
                "pub_key": {"type": keys.PUBLIC_TYPE, "value": keys.base64_of(public)},
                "power": str(power),
                "name": names[public],
            }
            for public, power in genesis.validators()
        ],
        "app_hash": "",
        "app_state": dict(app_state),
    }


def _consensus_params(document: Mapping[str, Any]) -> ConsensusParams:
    try:
        block = document["consensus_params"]["block"]
        return ConsensusParams(int(block["max_bytes"]), int(block["max_gas"]))
    except (KeyError, TypeError, ValueError):
        raise Faulty("home_invalid", "genesis.json: consensus_params.block is not as CometBFT writes it") from None


def _config_path(home: Path) -> Path:
    return home / "config" / "config.toml"


def _genesis_path(home: Path) -> Path:
    return home / "config" / "genesis.json"


def operators_path(home: Path) -> Path:
    """The folder that has one folder of keys per operator."""
    return home / "config" / "operators"
