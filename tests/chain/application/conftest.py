"""A chain without an engine: blocks are made by the application's own proposals, with fixed keys and times."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from chain.application.abci import (
    BlockIDFlag,
    CommitInfo,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInitChain,
    RequestPrepareProposal,
    RequestProcessProposal,
    ResponseFinalizeBlock,
    ResponseInitChain,
    ValidatorUpdate,
    VoteInfo,
)
from chain.application.app import Application
from chain.application.store import StateStore
from chain.crypto import vrf
from chain.crypto.address import address, validator_address
from chain.crypto.keys import PrivateKey
from chain.ledger.genesis import Genesis, build_demo_app_state
from chain.wire.transactions import (
    ANKR,
    BatchEntry,
    Content,
    ProofBatch,
    device_register,
    device_register_bytes,
    proof_batch,
    sign,
    sponsor,
    transfer,
)

CHAIN_ID = "test-chain"
GENESIS_NS = 1_700_000_000 * 10**9
BLOCK_NS = 500_000_000
MAX_TX_BYTES = 1 << 20


def secret(name: str) -> bytes:
    return sha256(name.encode()).digest()


HUB = PrivateKey.from_secret("ed25519", secret("hub"))
OWNERS = [PrivateKey.from_secret("ed25519", secret(f"owner {i}")) for i in range(4)]
CONSENSUS = [PrivateKey.from_secret("ed25519", secret(f"consensus {i}")) for i in range(4)]
VALIDATORS = [validator_address(key.public.x) for key in CONSENSUS]
VRF_KEYS = {validator: secret(f"vrf {i}") for i, validator in enumerate(VALIDATORS)}


def genesis_app_state() -> dict[str, object]:
    operators = [
        (f"seed-{i}", OWNERS[i].public, CONSENSUS[i].public.x, vrf.public_key(VRF_KEYS[VALIDATORS[i]]))
        for i in range(4)
    ]
    return build_demo_app_state(address(HUB.public), operators)


def init_request() -> RequestInitChain:
    app_state = genesis_app_state()
    genesis = Genesis.parse(CHAIN_ID, GENESIS_NS, app_state)
    validators = tuple(ValidatorUpdate(public, power) for public, power in genesis.validators())
    return RequestInitChain(GENESIS_NS, CHAIN_ID, validators, json.dumps(app_state).encode())


@dataclass
class Chain:
    """Drives one application and keeps the log of its blocks."""

    app: Application
    init: ResponseInitChain
    log: list[RequestFinalizeBlock] = field(default_factory=list)
    app_hashes: list[bytes] = field(default_factory=list)
    nonce: int = 0

    def payment(self, amount: int = ANKR, to: bytes | None = None) -> bytes:
        """The hub's next transfer."""
        return self.from_hub(transfer(to or address(OWNERS[0].public), amount))

    def from_hub(self, content: Content) -> bytes:
        """The hub's next transaction."""
        tx = sign(HUB, CHAIN_ID, content, nonce=self.nonce, fee=6 * ANKR).encode()
        self.nonce += 1
        return tx

    def registration(self, name: str) -> bytes:
        """A new owner's device, sponsored by the hub."""
        owner, device = (PrivateKey.from_secret("ed25519", secret(f"{kind} of {name}")) for kind in ("owner", "device"))
        agreed = device.sign(device_register_bytes(CHAIN_ID, address(owner.public), device.public))
        content = device_register(device.public, agreed)
        return sponsor(
            sign(owner, CHAIN_ID, content, nonce=0, fee=5 * ANKR, fee_payer=HUB.public), HUB, CHAIN_ID
        ).encode()

    def batch(self, names: Sequence[str], reward_epoch: int) -> bytes:
        """The hub's report that everybody did some work in an epoch."""
        owners = [address(PrivateKey.from_secret("ed25519", secret(f"owner of {name}")).public) for name in names]
        entries = tuple(BatchEntry(owner, 3, 3, 1, 0, None, 1_000 * place) for place, owner in enumerate(owners, 1))
        total = sum(entry.work for entry in entries)
        hub = address(HUB.public)
        return self.from_hub(
            proof_batch(ProofBatch(hub, "work", reward_epoch, secret("root"), len(entries), 999, total, None, entries))
        )

    def proposal(
        self, txs: Sequence[bytes] = (), *, height: int | None = None, proposer: int | None = None
    ) -> RequestFinalizeBlock:
        """The block that validator `proposer` would propose next; all four precommitted the last one."""
        height = height or self.app.height + 1
        address_ = VALIDATORS[height % 4 if proposer is None else proposer]
        votes = tuple(VoteInfo(each, 1, BlockIDFlag.COMMIT) for each in sorted(VALIDATORS)) if height > 1 else ()
        commit, time_ns = CommitInfo(0, votes), GENESIS_NS + height * BLOCK_NS
        prepared = self.app.prepare_proposal(
            RequestPrepareProposal(MAX_TX_BYTES, tuple(txs), commit, height, time_ns, address_)
        )
        return RequestFinalizeBlock(prepared.txs, commit, sha256(b"%d" % height).digest(), height, time_ns, address_)

    def block(self, txs: Sequence[bytes] = ()) -> ResponseFinalizeBlock:
        """Proposes, checks, finalizes and commits the next block."""
        request = self.proposal(txs)
        assert self.app.process_proposal(as_proposal(request)).accepted
        answer = self.app.finalize_block(request)
        self.app.commit(RequestCommit())
        self.log.append(request)
        self.app_hashes.append(answer.app_hash)
        return answer

    def to_next_boundary(self) -> None:
        """Blocks until the app hash moves by itself, with the next reward epoch."""
        before = self.app_hashes[-1]
        for _ in range(10):
            if self.block().app_hash != before:
                return
        raise AssertionError("no reward epoch began within ten blocks")


def as_proposal(request: RequestFinalizeBlock) -> RequestProcessProposal:
    return RequestProcessProposal(
        request.txs,
        request.decided_last_commit,
        request.hash,
        request.height,
        request.time_ns,
        request.proposer_address,
    )


@pytest.fixture
def new_application(tmp_path: Path) -> Iterator[Callable[[str], Application]]:
    """Applications by the name of their folder; the same name again reopens what is there."""
    stores: dict[str, StateStore] = {}

    def open_(name: str) -> Application:
        if name in stores:
            stores[name].close()
        stores[name] = StateStore(tmp_path / name)
        return Application(stores[name], vrf_keys=VRF_KEYS)

    yield open_
    for store in stores.values():
        store.close()


@pytest.fixture
def chain(new_application: Callable[[str], Application]) -> Chain:
    """A chain after its genesis, in folder "first"."""
    app = new_application("first")
    return Chain(app, app.init_chain(init_request()))


@pytest.fixture
def genesis_request() -> RequestInitChain:
    return init_request()
