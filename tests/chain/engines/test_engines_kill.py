"""The real application under the embedded engine, killed with SIGKILL at random moments, over and over."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chain.application.app import Application
from chain.application.store import StateStore
from chain.engines.embedded import EmbeddedEngine, EngineSettings
from chain.engines.pace import Pace
from chain.light.step import LightBlock, verify_own_commit
from chain.node import home as node_home
from chain.node.block_store import BlockStore
from chain.node.mempool import Mempool
from chain.node.server import engine_genesis
from chain.wire.cometbft import SignedHeader

# A node whose cores write down whatever they hear, without buffering, before they act on it.
PROGRAM = """
import asyncio, os, sys
from pathlib import Path
import chain.engines.ballot as ballot
from chain.consensus.core import Core
from chain.consensus.messages import ProposalReceived, VoteReceived
from chain.consensus.recovery import signed_place
from tests.chain.engines.test_engines_kill import engine_of

path = Path(sys.argv[1])
journal = os.open(path / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

class OverheardCore(Core):
    def step(self, event):
        if isinstance(event, VoteReceived | ProposalReceived):
            who = event.vote.validator if isinstance(event, VoteReceived) else event.proposal.proposer
            place = signed_place(event)
            line = f"{who.hex()} {place.height} {place.round} {place.step} {place.content.hex()}\\n"
            os.write(journal, line.encode())
        return super().step(event)

ballot.Core = OverheardCore
engine = engine_of(path, lambda committed: print(committed.block.header.height, flush=True))
asyncio.run(engine.run())
"""


def engine_of(path: Path, on_commit: object = None) -> EmbeddedEngine:
    """The engine of a home with everything real, at full speed."""
    home = node_home.load(path)
    vrf_keys = {keys.validator_address: keys.vrf_secret for keys in home.operators}
    application = Application(StateStore(home.data / "state"), vrf_keys=vrf_keys)
    return EmbeddedEngine(
        application,
        engine_genesis(home),
        [keys.consensus for keys in home.operators],
        BlockStore(home.data / "blocks"),
        Mempool(application.check_tx),
        EngineSettings(home.data / "consensus", Pace(0, 0)),
        on_commit=on_commit,  # type: ignore[arg-type]
    )


def live_and_die(path: Path, lines: int, delay_s: float) -> None:
    """Runs the program until it has committed some blocks, then a little longer, then not at all."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for _ in range(lines):
            assert child.stdout.readline(), "the node stopped by itself"
        time.sleep(delay_s)  # the point is to strike at no particular moment
        child.kill()
    assert child.returncode == -signal.SIGKILL


def contradictions(path: Path) -> tuple[int, list[str]]:
    """How many messages were heard, and those that differ from another at the same place."""
    heard: dict[str, str] = {}
    wrong = []
    for line in (path / "journal").read_text().splitlines():
        place, _, content = line.rpartition(" ")
        if heard.setdefault(place, content) != content:
            wrong.append(line)
    return len(heard), wrong


@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_killed_at_any_moment_the_chain_goes_on_and_nobody_contradicts_himself(tmp_path: Path, kills: int) -> None:
    node_home.init_demo(tmp_path, b"h" * 20, time.time_ns())
    dice = random.Random(kills)
    for _ in range(kills):
        live_and_die(tmp_path, dice.randint(1, 6), dice.random() * 0.03)

    heard, wrong = contradictions(tmp_path)
    assert wrong == []
    assert heard >= 9 * kills  # a proposal and eight votes for each block at least
    store = BlockStore(tmp_path / "data" / "blocks")
    for height in range(1, store.height + 1):
        block, commit, validators = store.block(height), store.commit(height), store.validators(height)
        assert block is not None and commit is not None and validators is not None
        light_block = LightBlock(SignedHeader(block.header, commit), validators, store.validators(height + 1))
        assert verify_own_commit(light_block).ok
        before = store.block_id(height - 1)
        assert block.header.last_block_id.hash == (before.hash if before else b"")
