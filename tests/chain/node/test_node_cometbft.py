"""A node behind CometBFT before there is a network: what its home holds, and what it refuses to start with."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from chain.engines.cometbft.configuration import PeerSettings
from chain.engines.cometbft.supervisor import RestartPolicy
from chain.errors import Faulty, Unavailable
from chain.node import home as node_home
from chain.node.cometbft import SOCKET_PATH_MAX, running_cometbft
from chain.node.home import Home
from chain.node.keys import OperatorKeys
from chain.node.settings import CometSettings, RpcSettings
from chain.web.listening import bind

NOW_NS = 1_700_000_000 * 10**9
HUB = bytes(range(20))
HASTY = RestartPolicy(first_pause_s=0.01, longest_pause_s=0.01, early_deaths=2)


@pytest.fixture
def seed(tmp_path: Path) -> Home:
    """A first node's home whose CometBFT is a program that dies at once."""
    home = tmp_path / "seed"
    node_home.init_seed(home, HUB, NOW_NS)
    program = tmp_path / "cometbft"
    program.write_text('#!/bin/sh\n[ "$1" = version ] && echo 0.38.26 && exit\necho "no such luck: $*"\nexit 1\n')
    program.chmod(0o755)
    loaded = node_home.load(home)
    settings = replace(
        loaded.settings, cometbft=CometSettings(str(program)), rpc=RpcSettings(port=0), p2p=PeerSettings(port=0)
    )
    return replace(loaded, settings=settings)


async def start(home: Home, now_ns: int = NOW_NS) -> None:
    async with running_cometbft(home, now_ns=lambda: now_ns, policy=HASTY):
        raise AssertionError("it runs")


def test_the_first_nodes_home_is_for_cometbft_with_one_operator_and_production_intervals(seed: Home) -> None:
    assert node_home.load(seed.path).settings.engine == "cometbft"
    parameters = seed.genesis.parameters
    assert (parameters.block_interval_ms, parameters.empty_block_interval_ms) == (1_000, 15_000)
    assert seed.genesis.validators() == ((seed.operators[0].consensus.public.x, 10**9),)


async def test_cometbft_that_does_not_start_ends_the_node_with_its_last_words(seed: Home) -> None:
    with pytest.raises(Faulty, match="2 times in a row; exit status 1, its last words: no such luck: start --home"):
        await start(seed)
    written = tomllib.loads((seed.path / "cometbft" / "config" / "config.toml").read_text())
    assert written["genesis_file"] == str(seed.path / "config" / "genesis.json")
    key = seed.path / "config" / "operators" / "seed-1" / "priv_validator_key.json"
    assert written["priv_validator_key_file"] == str(key)
    socket = written["proxy_app"].removeprefix("unix://")
    assert len(socket) <= SOCKET_PATH_MAX + len("/abci.sock")


async def test_a_home_too_deep_for_a_unix_socket_has_it_elsewhere(seed: Home, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    seed.path.rename(deep)
    with pytest.raises(Faulty, match="in a row"):
        await start(replace(seed, path=deep))
    written = tomllib.loads((deep / "cometbft" / "config" / "config.toml").read_text())
    socket = Path(written["proxy_app"].removeprefix("unix://"))
    assert len(str(socket)) <= SOCKET_PATH_MAX and not socket.parent.exists()


async def test_cometbft_signs_with_one_key_only(seed: Home) -> None:
    second = OperatorKeys.generate("seed-2")
    with pytest.raises(Faulty, match="several: seed-1, seed-2"):
        await start(replace(seed, operators=(*seed.operators, second)))


async def test_a_missing_binary_a_wrong_clock_and_a_taken_port_are_said_before_anything_starts(seed: Home) -> None:
    absent = replace(seed.settings, cometbft=CometSettings("/nowhere/cometbft"))
    with pytest.raises(Unavailable, match="/nowhere/cometbft"):
        await start(replace(seed, settings=absent))
    with pytest.raises(Faulty) as caught:
        await start(seed, NOW_NS - 3_600 * 10**9)
    assert caught.value.code == "clock_off"
    with bind("127.0.0.1", 0, may_move=False) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Faulty, match=str(port)):
            await start(replace(seed, settings=replace(seed.settings, rpc=RpcSettings(port=port))))
    assert not (seed.path / "cometbft" / "cometbft.log").exists()
