"""Two engines, one ledger: what the embedded engine decided gives the same app hashes over CometBFT's socket."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from chain.application.abci import RequestFinalizeBlock, RequestInitChain, RequestProcessProposal, ValidatorUpdate
from chain.application.app import Application
from chain.application.proposal import total_bytes
from chain.application.store import StateStore
from chain.crypto import vrf
from chain.crypto.address import address, validator_address
from chain.crypto.keys import PrivateKey
from chain.engines.cometbft.server import AbciServer
from chain.engines.embedded import EmbeddedEngine, EngineSettings
from chain.engines.handshake import EngineGenesis, finalize_request
from chain.ledger.genesis import Genesis, build_demo_app_state
from chain.ledger.parameters import Parameters
from chain.wire.protobuf import Fields
from chain.wire.transactions import ANKR, Content, pog_commit, sign, transfer
from tests.chain.engines.cometbft import abci_client as abci
from tests.chain.engines.cometbft.abci_client import Connection
from tests.chain.engines.small_chain import SWIFT, TIMEOUTS, SmallStore, run_to

CHAIN_ID, GENESIS_NS, HEIGHTS = "twins", 1_700_000_000 * 10**9, 36
HALF_SECOND_NS = 5 * 10**8


def secret(name: str) -> bytes:
    return sha256(name.encode()).digest()


HUB = PrivateKey.from_secret("ed25519", secret("hub"))
PEOPLE = [PrivateKey.from_secret("ed25519", secret(f"person {n}")) for n in range(4)]
CONSENSUS = [PrivateKey.from_secret("ed25519", secret(f"consensus {n}")) for n in range(4)]
VRF_KEYS = {validator_address(key.public.x): secret(f"vrf {n}") for n, key in enumerate(CONSENSUS)}


def genesis(power: int) -> EngineGenesis:
    rows = [
        (f"seed-{n}", PEOPLE[n].public, key.public.x, vrf.public_key(VRF_KEYS[validator_address(key.public.x)]))
        for n, key in enumerate(CONSENSUS)
    ]
    app_state = build_demo_app_state(address(HUB.public), rows, replace(Parameters.demo(), validator_power=power))
    parsed = Genesis.parse(CHAIN_ID, GENESIS_NS, app_state)
    validators = tuple(ValidatorUpdate(public, power) for public, power in parsed.validators())
    return EngineGenesis(CHAIN_ID, GENESIS_NS, validators, json.dumps(app_state).encode())


class RandomMempool:
    """A few random transactions for every block: good, underfunded, out of order, repeated, damaged, or none."""

    def __init__(self, dice: random.Random) -> None:
        self.available = asyncio.Event()
        self._dice = dice
        self._nonces = dict.fromkeys(range(-1, len(PEOPLE)), 0)
        self._sent: list[bytes] = []

    def reap(self, max_bytes: int) -> Sequence[bytes]:
        txs = [self._transaction() for _ in range(self._dice.choice([0, 0, 1, 3, 8]))]
        self._sent += txs
        assert total_bytes(txs) <= max_bytes
        return txs

    def update(self, height: int, included: Sequence[bytes]) -> None:
        pass

    def _transaction(self) -> bytes:
        dice = self._dice
        kind = dice.randrange(10)
        if kind == 0 and self._sent:
            return dice.choice(self._sent)
        if kind == 1:
            return dice.randbytes(dice.randrange(1, 60))
        who = -1 if dice.random() < 0.6 else dice.randrange(len(PEOPLE))
        sender = HUB if who == -1 else PEOPLE[who]
        nonce = self._nonces[who]
        if kind == 2:
            nonce += dice.choice([1, 5])
        else:
            self._nonces[who] += 1
        to = address(dice.choice(PEOPLE).public)
        content: Content = transfer(to, dice.choice([1, ANKR, 500 * ANKR, 10**9 * ANKR]))
        if kind == 3:
            content = pog_commit(to, dice.randrange(1, 20), dice.randbytes(32), 1)
        tx = sign(sender, CHAIN_ID, content, nonce=nonce, fee=dice.choice([5, 5, 5, 6, 1]) * ANKR).encode()
        return tx[:-1] + bytes([tx[-1] ^ 1]) if kind == 4 else tx


@pytest.mark.parametrize(("seed", "power"), [(1, 1), (2, 1), (3, 10**9), (4, 10**9)])
async def test_both_engines_come_to_the_same_app_hashes(seed: int, power: int, tmp_path: Path) -> None:
    chain = genesis(power)
    first, blocks = StateStore(tmp_path / "embedded"), SmallStore()
    application, ticks = Application(first, vrf_keys=VRF_KEYS), iter(range(1, 1 << 30))
    engine = EmbeddedEngine(
        application,
        chain,
        CONSENSUS,
        blocks,
        RandomMempool(random.Random(seed)),
        EngineSettings(tmp_path / "consensus", SWIFT, TIMEOUTS),
        sync=lambda file: None,
        now_ns=lambda: GENESIS_NS + next(ticks) * HALF_SECOND_NS // 8,
    )
    await run_to(engine, HEIGHTS)
    first.close()

    second = StateStore(tmp_path / "socket")
    server = AbciServer(Application(second))
    await server.start(tmp_path / "abci.sock")
    connection = await Connection.open(tmp_path / "abci.sock")
    begun = await connection.call(
        abci.INIT_CHAIN,
        abci.init_chain(RequestInitChain(GENESIS_NS, CHAIN_ID, chain.validators, chain.app_state_bytes)),
    )
    app_hashes, codes = [begun.binary(3)], set()
    for number, committed in enumerate(blocks.blocks):
        before = blocks.blocks[number - 1] if number else None
        request = finalize_request(
            committed.block, committed.block_id.hash, (before.commit, before.validators) if before else None
        )
        assert committed.block.header.app_hash == app_hashes[-1]
        processed = await connection.call(abci.PROCESS, abci.process_proposal(_proposal(request)))
        assert processed.integer(1) == 1
        finalized = await connection.call(abci.FINALIZE, abci.finalize_block(request))
        await connection.call(abci.COMMIT)
        app_hashes.append(finalized.binary(5))
        results = [Fields(result).integer(1) for result in finalized.repeated(2)]
        assert results == [result.code for result in committed.results.tx_results]
        assert len(finalized.repeated(3)) == len(committed.results.validator_updates)
        codes |= set(results)
    connection.close()
    await server.close()
    second.close()
    assert app_hashes[-1] == blocks.blocks[-1].state.app_hash
    # The blocks were worth comparing: transactions passed and were refused for several reasons, epochs went by.
    assert len(codes) >= 4 and len(set(app_hashes)) > 10
    assert any(committed.results.validator_updates for committed in blocks.blocks) == (power > 1)


def _proposal(request: RequestFinalizeBlock) -> RequestProcessProposal:
    return RequestProcessProposal(
        request.txs,
        request.decided_last_commit,
        request.hash,
        request.height,
        request.time_ns,
        request.proposer_address,
    )
