"""Real blocks behind the values of a simulation: built, judged and run by one real application per validator."""

from __future__ import annotations

from pathlib import Path

from chain.application.abci import (
    CommitInfo,
    RequestCommit,
    RequestFinalizeBlock,
    RequestPrepareProposal,
    RequestProcessProposal,
)
from chain.application.app import Application
from chain.application.store import StateStore
from chain.consensus.values import INVALID_PREFIX, OTHER_SUFFIX, Values
from chain.wire.transactions import ANKR, beacon_tx, decode_beacon_tx, sign, transfer
from tests.chain.application.conftest import (
    BLOCK_NS,
    CHAIN_ID,
    GENESIS_NS,
    HUB,
    MAX_TX_BYTES,
    VALIDATORS,
    VRF_KEYS,
    init_request,
)

Txs = tuple[bytes, ...]
NO_VOTES = CommitInfo()


class RealBlocks(Values):
    """Four validators. A marked name is the same block with a beacon that its proposer did not draw by the rules.

    Three ways to cheat take turns: a proof with one bit turned, the proof of another key, and the proof of another
    height; the first would be a random beacon, the others ones that a proposer could choose among.
    """

    def __init__(self, folder: Path) -> None:
        self._stores = [StateStore(folder / f"state-{number}") for number in range(len(VALIDATORS))]
        self._apps = [
            Application(store, vrf_keys={address: VRF_KEYS[address]})
            for store, address in zip(self._stores, VALIDATORS, strict=True)
        ]
        for app in self._apps:
            app.init_chain(init_request())
        self._blocks: dict[bytes, tuple[int, Txs]] = {}
        self.verdicts: dict[bytes, bool] = {}
        self.app_hashes: dict[int, set[bytes]] = {}

    def close(self) -> None:
        for store in self._stores:
            store.close()

    def build(self, node: int, height: int, name: bytes) -> None:
        payment = sign(HUB, CHAIN_ID, transfer(bytes(20), ANKR), nonce=height - 1, fee=5 * ANKR).encode()
        request = RequestPrepareProposal(
            max_tx_bytes=MAX_TX_BYTES,
            txs=(payment,),
            local_last_commit=NO_VOTES,
            height=height,
            time_ns=time_ns(height),
            proposer_address=VALIDATORS[node],
        )
        self._blocks[_base(name)] = (node, self._apps[node].prepare_proposal(request).txs)

    def is_valid(self, node: int, height: int, name: bytes) -> bool:
        if name not in self.verdicts:
            self.verdicts[name] = self._judge(node, height, name)
        return self.verdicts[name]

    def decide(self, node: int, height: int, name: bytes) -> None:
        proposer, txs = self._block(height, name)
        app = self._apps[node]
        answer = app.finalize_block(
            RequestFinalizeBlock(txs, NO_VOTES, name, height, time_ns(height), VALIDATORS[proposer])
        )
        app.commit(RequestCommit())
        self.app_hashes.setdefault(height, set()).add(answer.app_hash)

    def _judge(self, node: int, height: int, name: bytes) -> bool:
        if _base(name) not in self._blocks:
            return False  # What is no block at all is refused before anybody looks into it.
        app = self._apps[node]
        assert app.height == height - 1, f"node {node} at {app.height} judges a block of {height}"
        proposer, txs = self._block(height, name)
        request = RequestProcessProposal(
            txs=txs,
            proposed_last_commit=NO_VOTES,
            hash=name,
            height=height,
            time_ns=time_ns(height),
            proposer_address=VALIDATORS[proposer],
        )
        return app.process_proposal(request).accepted

    def _block(self, height: int, name: bytes) -> tuple[int, Txs]:
        proposer, txs = self._blocks[_base(name)]
        if name.endswith(OTHER_SUFFIX):
            txs = txs[:1]
        if name.startswith(INVALID_PREFIX):
            txs = (self._cheat(height, proposer, txs[0]), *txs[1:])
        return proposer, txs

    def _cheat(self, height: int, proposer: int, tx: bytes) -> bytes:
        beacons = self._apps[proposer]._beacons
        if height % 3 == 0:
            pi = decode_beacon_tx(tx)
            return beacon_tx(pi[:-1] + bytes([pi[-1] ^ 1]))
        if height % 3 == 1:
            return beacons.prove(VRF_KEYS[VALIDATORS[proposer - 1]], height)
        return beacons.prove(VRF_KEYS[VALIDATORS[proposer]], height - 1)


def time_ns(height: int) -> int:
    return GENESIS_NS + height * BLOCK_NS


def _base(name: bytes) -> bytes:
    return name.lstrip(INVALID_PREFIX).removesuffix(OTHER_SUFFIX)
