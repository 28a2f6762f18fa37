"""The node as a process: it stops in order, survives kill -9, and says in one sentence why it cannot start."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from chain.application.abci import (
    BlockIDFlag,
    CommitInfo,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInitChain,
    VoteInfo,
)
from chain.application.app import Application
from chain.application.store import StateStore
from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.errors import DccnError
from chain.light.rpc import RpcClient
from chain.node.block_store import BlockStore
from chain.node.home import Home
from chain.node.server import engine_genesis, running
from chain.wire.cometbft import FLAG_COMMIT
from chain.wire.state import SUPPLY_KEY, Account, Supply, account_key
from chain.wire.transactions import ANKR, sign, transfer

HUB = PrivateKey.from_secret("ed25519", bytes(range(32)))  # as in conftest
PROGRAM = """
import sys
from pathlib import Path
from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.errors import DccnError
from chain.node.server import run
PREPARE
try:
    run(Path(sys.argv[1]), json_output=True, port=0)
except DccnError as error:
    sys.stderr.write(f"{error}\\n")
    sys.exit(error.exit_code)
"""


@contextmanager
def process(home: Home, prepare: str = "") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROGRAM.replace("PREPARE", prepare), str(home.path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def ready(child: subprocess.Popen[str]) -> RpcClient:
    """A client of the node, once it has said that it is ready."""
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line, child.communicate()[1]
    event = json.loads(line)
    assert event["event"] == "ready"
    return RpcClient(event["rpc"])


def wait_for_height(rpc: RpcClient, height: int) -> int:
    deadline = time.monotonic() + 30
    while (reached := rpc.status().height) < height:
        assert time.monotonic() < deadline, f"still at {reached}"
        time.sleep(0.01)  # another process: its height can only be asked for
    return reached


def failure(home: Home, **given: object) -> DccnError:
    async def start() -> None:
        async with running(home, **given):  # type: ignore[arg-type]
            pass

    with pytest.raises(DccnError) as caught:
        asyncio.run(start())
    return caught.value


def test_sigterm_and_sigint_stop_it_in_order_and_it_goes_on_where_it_was(new_home: Home) -> None:
    reached = 0
    for number in (signal.SIGTERM, signal.SIGINT):
        with process(new_home) as child:
            reached = wait_for_height(ready(child), reached + 3)
            child.send_signal(number)
            assert child.wait(20) == 0
    with process(new_home) as child:
        assert ready(child).status().height >= reached


def test_kill_9_at_random_moments_loses_no_block_and_the_blocks_replay_identically(new_home: Home) -> None:
    moments = random.Random(4711)
    reached = 0
    for _ in range(3):
        with process(new_home) as child:
            rpc = ready(child)
            reached = wait_for_height(rpc, rpc.status().height + 2)
            pay(rpc)
            # A random moment is the point here; there is no event to wait for.
            time.sleep(moments.uniform(0, 0.05))
            child.kill()
    with process(new_home) as child:
        rpc = ready(child)
        assert rpc.status().height >= reached
        wait_for_height(rpc, reached + 2)
        child.terminate()
        assert child.wait(20) == 0
    store, blocks = StateStore(new_home.data / "state"), BlockStore(new_home.data / "blocks")
    assert store.height == blocks.height
    assert replay(new_home, blocks) == store.app_hash
    supply = Supply.decode(store.state(SUPPLY_KEY) or b"")
    assert supply.total_atto == 10**10 * ANKR


def pay(rpc: RpcClient) -> None:
    """Three transfers by the hub, which may or may not get into a block before the kill."""
    data = rpc.abci_query("/state", account_key(address(HUB.public)), prove=False).value
    nonce = Account.decode(data or b"").nonce
    for number in range(nonce, nonce + 3):
        tx = sign(HUB, rpc.status().chain_id, transfer(bytes(20), ANKR), nonce=number, fee=5 * ANKR)
        assert rpc.broadcast_tx_sync(tx.encode()).code == 0


def replay(home: Home, blocks: BlockStore) -> bytes:
    """The app hash of a fresh application that ran all stored blocks; every one is compared on the way."""
    app = Application(StateStore(home.path / "replayed"))
    genesis = engine_genesis(home)
    app_hash = app.init_chain(
        RequestInitChain(genesis.time_ns, genesis.chain_id, genesis.validators, genesis.app_state_bytes)
    ).app_hash
    for height in range(1, blocks.height + 1):
        block, validators = blocks.block(height), blocks.validators(height - 1)
        assert block is not None and block.header.app_hash == app_hash
        votes = ()
        if height > 1:
            assert block.last_commit is not None and validators is not None
            votes = tuple(
                VoteInfo(
                    validator.address,
                    validator.power,
                    BlockIDFlag.COMMIT if sig.flag == FLAG_COMMIT else BlockIDFlag(sig.flag),
                )
                for validator, sig in zip(validators, block.last_commit.signatures, strict=True)
            )
        header = block.header
        request = RequestFinalizeBlock(
            block.txs, CommitInfo(0, votes), header.hash(), height, header.time_ns, header.proposer_address
        )
        app_hash = app.finalize_block(request).app_hash
        app.commit(RequestCommit())
    return app_hash


def test_a_second_node_in_the_same_home_is_told_who_is_there(new_home: Home) -> None:
    with process(new_home) as first:
        ready(first)
        with process(new_home) as second:
            _, stderr = second.communicate(timeout=20)
        assert second.returncode == 1
        assert stderr.strip().splitlines() == [f"home_invalid: {new_home.path} is in use by process {first.pid}"]


def test_an_occupied_port_is_one_sentence_or_another_port(new_home: Home) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        error = failure(new_home, port=port)
        assert (error.code, str(port) in error.message) == ("port_occupied", True)
        moving = replace(
            new_home, settings=replace(new_home.settings, rpc=replace(new_home.settings.rpc, port_may_move=True))
        )

        async def start() -> str:
            async with running(moving, port=port) as node:
                return node.rpc_url

        assert not asyncio.run(start()).endswith(f":{port}")


def test_a_clock_an_hour_behind_the_chain_is_refused(new_home: Home) -> None:
    hour_ns = 3600 * 10**9
    error = failure(new_home, port=0, now_ns=lambda: time.time_ns() - hour_ns)
    assert (error.code, "s before the time of the genesis" in error.message) == ("clock_off", True)
    with process(new_home) as child:
        wait_for_height(ready(child), 3)
    error = failure(new_home, port=0, now_ns=lambda: time.time_ns() - hour_ns)
    assert (error.code, "before the time of block" in error.message) == ("clock_off", True)


def test_a_full_disk_stops_it_with_one_sentence_and_nothing_is_lost(new_home: Home) -> None:
    with process(new_home) as child:
        reached = wait_for_height(ready(child), 3)
        child.terminate()
        child.wait(20)
    # No file may grow any further, which is what a full disk looks like from inside.
    limit = (new_home.data / "blocks" / "data.mdb").stat().st_size
    full = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
"""
    with process(new_home, full) as child:
        _, stderr = child.communicate(timeout=60)
    assert child.returncode == 1
    assert stderr.startswith("disk_full: ") and "Traceback" not in stderr
    with process(new_home) as child:
        assert wait_for_height(ready(child), reached + 1) > reached


def test_a_home_whose_state_was_deleted_says_so(new_home: Home) -> None:
    with process(new_home) as child:
        wait_for_height(ready(child), 3)
        child.terminate()
        child.wait(20)
    for file in (new_home.data / "consensus").iterdir():
        file.unlink()
    error = failure(new_home, port=0)
    assert error.code == "state_corrupt"
