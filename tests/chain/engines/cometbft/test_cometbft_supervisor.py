"""The supervisor and the home it starts from, with a small program in CometBFT's place."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import signal
import stat
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from chain.crypto.address import validator_address
from chain.crypto.keys import PrivateKey
from chain.engines.cometbft import binary, supervisor
from chain.engines.cometbft.configuration import CometConfiguration, PeerSettings, node_id, prepare
from chain.engines.cometbft.supervisor import RestartPolicy, Supervisor
from chain.errors import Faulty, Unavailable
from chain.node.rpc_methods import COMET_VERSION
from tools.engines import cometbft as pinned

HASTY = RestartPolicy(first_pause_s=0.01, longest_pause_s=0.02, settled_s=60, early_deaths=3, stop_grace_s=5)


def program(folder: Path, script: str) -> list[str]:
    path = folder / "cometbft"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return [str(path)]


async def running_pid(kept: Supervisor, other_than: int | None = None) -> int:
    """The process, once there is one; the supervisor's log line is not an event one can await."""
    for _ in range(500):
        if kept.pid is not None and kept.pid != other_than:
            return kept.pid
        await asyncio.sleep(0.01)
    raise AssertionError("no process was started")


async def test_a_killed_process_is_started_again_and_its_death_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Supervisor(program(tmp_path, "echo words; exec sleep 60"), tmp_path / "log", HASTY)
    running = asyncio.create_task(kept.run())
    with caplog.at_level(logging.ERROR, "chain.engines.cometbft.supervisor"):
        first = await running_pid(kept)
        os.kill(first, signal.SIGKILL)
        second = await running_pid(kept, first)
    assert "killed by SIGKILL" in caplog.text and str(tmp_path / "log") in caplog.text
    running.cancel()
    await asyncio.wait({running})
    assert kept.deaths == 1
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_process_that_never_lives_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    script = f"echo tried >> {tmp_path}/tries; echo no genesis >&2; exit 3"
    kept = Supervisor(program(tmp_path, script), tmp_path / "log", HASTY)
    with pytest.raises(Faulty, match=r"3 times in a row; exit status 3, its last words: no genesis"):
        await kept.run()
    assert (tmp_path / "tries").read_text() == "tried\n" * 3


async def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    policy = replace(HASTY, stop_grace_s=0.2)
    script = "trap '' TERM; echo up; while :; do sleep 0.05; done"
    kept = Supervisor(program(tmp_path, script), tmp_path / "log", policy)
    running = asyncio.create_task(kept.run())
    pid = await running_pid(kept)
    while supervisor.last_line(tmp_path / "log") != "up":  # noqa: ASYNC110  # another process writes it
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait({running})
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_missing_program_is_said(tmp_path: Path) -> None:
    kept = Supervisor([str(tmp_path / "nothing")], tmp_path / "log", HASTY)
    with pytest.raises(Unavailable, match="nothing"):
        asyncio.run(kept.run())


async def test_a_log_that_is_too_large_is_turned_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOG_MAX_BYTES", 10)
    (tmp_path / "log").write_text("an old and long log\n")
    kept = Supervisor(program(tmp_path, "echo new; exit 1"), tmp_path / "log", replace(HASTY, early_deaths=1))
    with pytest.raises(Faulty):
        await kept.run()
    assert (tmp_path / "log.1").read_text() == "an old and long log\n"
    assert (tmp_path / "log").read_text() == "new\n"


@pytest.fixture
def configuration(tmp_path: Path) -> CometConfiguration:
    return CometConfiguration(
        folder=tmp_path / "cometbft",
        moniker='quoted " name',
        abci_socket=tmp_path / "abci.sock",
        genesis=tmp_path / "genesis.json",
        consensus_key=tmp_path / "priv_validator_key.json",
        rpc_host="::1",
        rpc_port=26657,
        rpc_max_connections=900,
        rpc_max_body_bytes=1_000_000,
        peers=PeerSettings(seeds="a@b:1", persistent_peers="c@d:2,e@f:3", pex=False),
        block_interval_ms=1_000,
        empty_block_interval_ms=15_000,
        mempool_size=5_000,
        mempool_max_txs_bytes=1 << 26,
        mempool_max_tx_bytes=1 << 20,
        mempool_cache_size=10_000,
    )


def test_the_configuration_has_the_notes_numbers_and_the_chains_intervals(configuration: CometConfiguration) -> None:
    prepare(configuration)
    written = tomllib.loads((configuration.folder / "config" / "config.toml").read_text())
    assert written["rpc"]["max_open_connections"] == 900
    assert (written["p2p"]["send_rate"], written["p2p"]["recv_rate"]) == (5_120_000, 5_120_000)
    assert written["consensus"]["timeout_commit"] == "1000ms"
    assert written["consensus"]["create_empty_blocks_interval"] == "15000ms"
    assert (written["p2p"]["seeds"], written["p2p"]["persistent_peers"]) == ("a@b:1", "c@d:2,e@f:3")
    assert (written["p2p"]["pex"], written["p2p"]["laddr"]) == (False, "tcp://127.0.0.1:26656")
    assert (written["rpc"]["laddr"], written["moniker"]) == ("tcp://[::1]:26657", 'quoted " name')
    assert written["priv_validator_key_file"] == str(configuration.consensus_key)


def test_the_nodes_identity_is_made_once_and_is_private(configuration: CometConfiguration) -> None:
    own = prepare(configuration)
    path = configuration.folder / "config" / "node_key.json"
    secret = base64.b64decode(json.loads(path.read_text())["priv_key"]["value"])
    public = PrivateKey.from_secret("ed25519", secret[:32]).public.x
    assert (secret[32:], own) == (public, validator_address(public).hex())
    assert prepare(configuration) == node_id(configuration.folder) == own
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_signed_is_never_forgotten_silently(configuration: CometConfiguration) -> None:
    prepare(configuration)
    state = configuration.folder / "data" / "priv_validator_state.json"
    state.write_text('{"height": "7"}')
    prepare(configuration)
    assert state.read_text() == '{"height": "7"}'
    (configuration.folder / "data" / "blockstore.db").mkdir()
    state.unlink()
    with pytest.raises(Faulty, match="what was signed"):
        prepare(configuration)


def test_a_binary_of_another_series_is_refused(tmp_path: Path) -> None:
    (path,) = program(tmp_path, "echo v1.0.1+abc")
    with pytest.raises(Unavailable, match=r"is CometBFT 1\.0\.1; .* 0\.38"):
        binary.find(path)
    program(tmp_path, "echo 0.38.99")
    assert binary.find(path) == Path(path)
    program(tmp_path, "exit 1")
    with pytest.raises(Unavailable, match="version"):
        binary.find(path)
    with pytest.raises(Unavailable):
        binary.find(str(tmp_path / "absent"))


def test_the_version_that_is_brought_is_the_one_that_is_run_and_reported() -> None:
    assert binary.VERSION == pinned.VERSION == COMET_VERSION
    assert pinned.binary() == binary.cache() / "engines" / f"cometbft-{binary.VERSION}" / "cometbft"
