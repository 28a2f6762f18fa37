"""A node whose ledger computed something else stops, and the doctor names the block and the key."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from chain.wire.state import account_key
from tests.chain.engines.cometbft.network import Network, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(300)]

LUCKY = bytes([7]) * 20
# Whoever is paid gets one unit too many, and nobody misses it.
GENEROUS = f"""
from chain.ledger import machine
from chain.wire.kinds import TRANSFER
honest = machine._APPLY[TRANSFER]
def generous(run, sender, body):
    events = honest(run, sender, body)
    run.overlay.purse(bytes.fromhex("{LUCKY.hex()}")).balance_atto += 1
    return events
machine._APPLY[TRANSFER] = generous
"""


def compare(home: Path, other: str) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-m", "dccn", "node", "doctor", "--home", str(home), "--compare", other, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, json.loads(ended.stdout)


def test_the_doctor_names_the_first_block_and_key_that_differ(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        *honest, wrong = network.nodes
        assert wrong.process is not None
        assert compare(wrong.home, honest[0].rpc.url)[1]["difference"] is None  # while it runs, by its RPC

        wrong.process.terminate()
        assert wrong.process.wait(20) == 0
        network.fault = GENEROUS
        network.start(wrong)
        wait_for(lambda: wrong.rpc.status().height >= honest[0].rpc.status().height - 1)
        tx = network.payment(LUCKY)
        assert honest[0].rpc.broadcast_tx_sync(tx).code == 0
        paid = wait_for(lambda: honest[0].rpc.tx(sha256(tx).digest()))
        wait_for(lambda: honest[0].rpc.status().height > paid.height + 3)  # three of four go on
        log = wrong.home / "cometbft" / "cometbft.log"
        wait_for(lambda: "wrong Block.Header.AppHash" in log.read_text(errors="replace"))
        wrong.process.kill()
        wrong.process.wait()

        code, found = compare(wrong.home, honest[0].rpc.url)
        assert code == 1
        assert (found["height"], found["since_before"]) == (paid.height, False)
        assert found["key_hex"] == account_key(LUCKY).hex()
        assert found["values"] == {
            str(wrong.home): "[1000000000000000001, 0]", honest[0].rpc.url: "[1000000000000000000, 0]",
        }  # fmt: skip
