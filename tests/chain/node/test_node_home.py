"""A node's home: made once, read strictly, private, used by one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from chain.crypto.address import validator_address
from chain.engines.cometbft.configuration import StateSyncSettings
from chain.errors import DccnError, Faulty, Malformed
from chain.node import home as node_home
from chain.node import settings as node_settings
from chain.node.lock import locked
from chain.node.settings import (
    CometSettings,
    MempoolSettings,
    MetricsSettings,
    PeerSettings,
    RpcSettings,
    Settings,
    StorageSettings,
)
from chain.wire.rpc_json import validator_set_from_json

NOW_NS = 1_700_000_000_123_456_789
HUB = bytes(range(20))


def test_a_demo_home_reads_as_it_was_made(tmp_path: Path) -> None:
    document = node_home.init_demo(tmp_path, HUB, NOW_NS)
    home = node_home.load(tmp_path)
    assert home.document == json.loads(json.dumps(document))
    assert home.genesis.time_ns == NOW_NS
    assert [grant.address for share in home.genesis.allocation for grant in share.grants] == [HUB]
    assert [keys.name for keys in home.operators] == ["seed-1", "seed-2", "seed-3", "seed-4"]
    assert {keys.consensus.public.x for keys in home.operators} == {public for public, _ in home.genesis.validators()}
    assert home.settings.rpc.port_may_move


def test_genesis_is_cometbfts_document(tmp_path: Path) -> None:
    document = node_home.init_demo(tmp_path, HUB, NOW_NS)
    assert document["genesis_time"] == "2023-11-14T22:13:20.123456789Z"
    assert document["initial_height"] == "1"
    assert document["consensus_params"]["block"] == {"max_bytes": "22020096", "max_gas": "-1"}
    for validator in document["validators"]:
        parsed = validator_set_from_json([{"pub_key": validator["pub_key"], "voting_power": validator["power"]}])
        assert validator["address"] == parsed[0].address.hex().upper()


def test_the_consensus_key_has_cometbfts_form_and_nobody_else_can_read_keys(tmp_path: Path) -> None:
    node_home.init_demo(tmp_path, HUB, NOW_NS)
    keys = sorted((tmp_path / "config" / "operators").rglob("*.json"))
    assert len(keys) == 12
    assert {oct(path.stat().st_mode & 0o777) for path in keys} == {"0o600"}
    assert oct((tmp_path / "config" / "operators" / "seed-1").stat().st_mode & 0o777) == "0o700"
    content = json.loads((tmp_path / "config" / "operators" / "seed-1" / "priv_validator_key.json").read_text())
    assert (content["pub_key"]["type"], content["priv_key"]["type"]) == (
        "tendermint/PubKeyEd25519",
        "tendermint/PrivKeyEd25519",
    )
    loaded = node_home.load(tmp_path).operators[0]
    assert content["address"] == validator_address(loaded.consensus.public.x).hex().upper()


def test_a_home_is_not_made_twice_and_not_read_before_it_is_made(tmp_path: Path) -> None:
    assert not node_home.exists(tmp_path)
    with pytest.raises(Faulty, match="dccn node init"):
        node_home.load(tmp_path)
    node_home.init_demo(tmp_path, HUB, NOW_NS)
    assert node_home.exists(tmp_path)
    with pytest.raises(Faulty, match="earlier init"):
        node_home.init_demo(tmp_path, HUB, NOW_NS)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("genesis.json", "{"),
        ("genesis.json", "[]"),
        ("genesis.json", "{}"),
        ("operators/seed-1/vrf_key.json", "{}"),
        ("operators/seed-1/vrf_key.json", '{"secret": "00"}'),
        ("operators/seed-1/account_key.json", '{"secret": 5}'),
        ("operators/seed-2/priv_validator_key.json", '{"priv_key": {"value": "AAAA"}}'),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, file: str, content: str) -> None:
    node_home.init_demo(tmp_path, HUB, NOW_NS)
    path = tmp_path / "config" / file
    path.write_text(content)
    with pytest.raises(Faulty, match=re.escape(file.rsplit("/", 1)[0])) as caught:
        node_home.load(tmp_path)
    assert caught.value.code == "home_invalid"


def test_the_settings_file_says_what_is_set_and_nothing_else(tmp_path: Path) -> None:
    chosen = Settings(
        "mine",
        "cometbft",
        RpcSettings("::1", 0, True, 7, 8_000),
        MempoolSettings(1, 2, 3, 4),
        StorageSettings(100, 0, 7),
        PeerSettings("::1", 0, "example.org:1", "a@b:1", "c@d:2,e@f:3", False, False, 0, 1),
        CometSettings("/opt/cometbft", "*:debug", "json"),
        MetricsSettings("::1", 9100, 9101),
        StateSyncSettings("http://a,http://b", 7, "ab" * 32, 60),
    )
    path = tmp_path / "config.toml"
    path.write_text(node_settings.template(chosen))
    assert node_settings.read(path) == chosen
    tables = set(tomllib.loads(node_settings.template(Settings())))
    assert tables == {"moniker", "engine", "rpc", "mempool", "storage", "p2p", "cometbft", "metrics", "statesync"}
    assert node_settings.read(tmp_path / "absent.toml") == Settings()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("engine = 'paxos'", "engine"),
        ("[rpc]\nport = 70000", "rpc.port"),
        ("[rpc]\nport = '1'", "rpc.port"),
        ("[rpc]\nhost = 'localhost'", "rpc.host"),
        ("[rpc]\nmax_open_connections = 0", "rpc.max_open_connections"),
        ("[storage]\nhistory_heights = 99", "storage.history_heights"),
        ("[storage]\nretained_blocks = 99999", "storage.retained_blocks"),
        ("[storage]\nsnapshot_interval = 400000", "storage.snapshot_interval"),
        ("[statesync]\nrpc_servers = 'http://a,http://b'\ntrust_height = 1", "trust_hash"),
        ("[statesync]\nrpc_servers = 'http://a'", "two rpc_servers"),
        ("[p2p]\nhost = 'peer'", "p2p.host"),
        ("[metrics]\nport = 65536", "metrics.port"),
        ("[metrics]\nhost = 'everywhere'", "metrics.host"),
        ("[cometbft]\nlog_format = 'xml'", "cometbft.log_format"),
        ("[mempol]\nsize = 1", "mempol"),
        ("[mempool]\nsizes = 1", "mempool.sizes"),
        ("rpc = 1", "rpc"),
        ("moniker = ", "config.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(content)
    with pytest.raises(Malformed, match=re.escape(named)) as caught:
        node_settings.read(path)
    assert caught.value.code == "usage"


def test_two_nodes_cannot_share_a_home_and_a_dead_one_does_not_keep_it(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from chain.node.lock import locked
with locked(Path({str(tmp_path)!r})):
    print("locked", flush=True)
    sys.stdin.read()
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "locked\n"
    with pytest.raises(DccnError, match=f"process {child.pid}"), locked(tmp_path):
        pass
    child.kill()
    child.communicate()
    with locked(tmp_path):
        assert (tmp_path / "data" / "LOCK").exists()
