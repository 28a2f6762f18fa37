"""A node that is killed at any step of a block goes on with the same app hash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chain.application.abci import (
    BlockIDFlag,
    CommitInfo,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInfo,
    VoteInfo,
)
from chain.application.app import Application
from chain.application.store import StateStore
from chain.wire import cbor

GOLDEN = Path(__file__).parents[2] / "data" / "golden-blocks.cbor"

# Runs the golden blocks; after each step it says where it is and waits for a line before it goes on.
PROGRAM = """
import sys
from pathlib import Path
from chain.application.abci import *
from chain.application.app import Application
from chain.application.store import StateStore
from chain.wire import cbor

def say(*words):
    print(*words, flush=True)
    sys.stdin.readline()

genesis, _, blocks = cbor.decode(Path(sys.argv[1]).read_bytes())
time_ns, chain_id, validators, app_state = genesis
app = Application(StateStore(Path(sys.argv[2])))
updates = tuple(ValidatorUpdate(public, power) for public, power in validators)
app.init_chain(RequestInitChain(time_ns, chain_id, updates, app_state))
say("initialised", 0)
for txs, votes, hash_, height, time_ns, proposer, app_hash, codes in blocks:
    commit = CommitInfo(0, tuple(VoteInfo(address, power, BlockIDFlag(flag)) for address, power, flag in votes))
    answer = app.finalize_block(RequestFinalizeBlock(tuple(txs), commit, hash_, height, time_ns, proposer))
    say("finalized", height)
    app.commit(RequestCommit())
    say("committed", height)
"""


def run_until(folder: Path, moment: str) -> None:
    """Runs the program, kills it with SIGKILL when it has said `moment`."""
    command = [sys.executable, "-c", PROGRAM, str(GOLDEN), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        for line in child.stdout:
            if line.strip() == moment:
                child.kill()
                return
            child.stdin.write("\n")
            child.stdin.flush()
    raise AssertionError(f"the program ended before {moment}")


@pytest.mark.parametrize(
    ("moment", "height"),
    [("initialised 0", 0), ("finalized 1", 0), ("committed 1", 1), ("finalized 13", 12), ("committed 13", 13)],
)
def test_after_kill_9_the_rest_of_the_blocks_gives_the_same_app_hash(tmp_path: Path, moment: str, height: int) -> None:
    run_until(tmp_path, moment)
    app = Application(StateStore(tmp_path))
    _, first_hash, blocks = cbor.decode(GOLDEN.read_bytes())
    info = app.info(RequestInfo())
    assert info.last_block_height == height
    assert info.last_block_app_hash == (blocks[height - 1][6] if height else first_hash)
    for txs, votes, hash_, number, time_ns, proposer, app_hash, _ in blocks[height:]:
        commit = CommitInfo(0, tuple(VoteInfo(address, power, BlockIDFlag(flag)) for address, power, flag in votes))
        request = RequestFinalizeBlock(tuple(txs), commit, hash_, number, time_ns, proposer)
        assert app.finalize_block(request).app_hash == app_hash
        app.commit(RequestCommit())
