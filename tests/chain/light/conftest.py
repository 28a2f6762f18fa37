"""Chains made by hand: real keys, real signatures, CometBFT's bytes; no engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256

import pytest

from chain.crypto import vrf
from chain.crypto.keys import PrivateKey
from chain.crypto.sparse import SparseTree
from chain.errors import Unavailable
from chain.light.rpc import QueryAnswer, RawBlock, TxAnswer
from chain.light.step import LightBlock, TrustedState
from chain.wire.cometbft import (
    ABSENT,
    FLAG_COMMIT,
    BlockID,
    Commit,
    CommitSig,
    ConsensusParams,
    Header,
    PartSetHeader,
    SignedHeader,
    Validator,
    ValidatorSet,
    data_hash,
    data_proof,
)
from chain.wire.transactions import beacon_tx

CHAIN_ID = "dccn-test"
START_NS = 1_750_000_000 * 10**9
SECOND_NS = 10**9


@cache
def key(name: str) -> PrivateKey:
    return PrivateKey.from_secret("ed25519", sha256(name.encode()).digest())


def validator_set(names: Sequence[str], power: int = 10) -> ValidatorSet:
    return ValidatorSet(Validator(key(name).public.x, power) for name in names)


def names_by_address(names: Sequence[str]) -> dict[bytes, str]:
    return {Validator(key(name).public.x, 1).address: name for name in names}


def commit_to(header: Header, names: Sequence[str], signers: Sequence[str], *, height: int | None = None) -> Commit:
    """A commit of `header` by `signers` out of the set `names`, in the set's order; `height` if the commit lies."""
    block_id = BlockID(header.hash(), PartSetHeader(1, sha256(b"parts").digest()))
    known, time_ns = names_by_address(names), header.time_ns + 1
    unsigned = []
    for validator in validator_set(names):
        signs = known[validator.address] in signers
        unsigned.append(CommitSig(FLAG_COMMIT, validator.address, time_ns, b"") if signs else ABSENT)
    commit = Commit(height or header.height, 0, block_id, tuple(unsigned))
    signatures = tuple(
        replace(slot, signature=key(known[slot.validator_address]).sign(commit.vote_sign_bytes(header.chain_id, index)))
        if slot.flag == FLAG_COMMIT
        else slot
        for index, slot in enumerate(commit.signatures)
    )
    return replace(commit, signatures=signatures)


class MadeChain:
    """`sets[h - 1]` names the validators of height h; one more set than heights. Also answers like an RPC node."""

    def __init__(
        self,
        sets: Sequence[Sequence[str]],
        *,
        signers: Mapping[int, Sequence[str]] | None = None,
        state: Mapping[int, Mapping[bytes, bytes]] | None = None,
        salt: bytes = b"",
        interval_ns: int = SECOND_NS,
    ) -> None:
        self.sets = [list(names) for names in sets]
        self.trees: dict[int, SparseTree] = {}
        self.values: dict[int, dict[bytes, bytes]] = {0: {}}
        self.txs: dict[int, tuple[bytes, ...]] = {}
        self.signed: dict[int, SignedHeader] = {}
        self.asked: list[int] = []
        last = BlockID()
        for height in range(1, len(sets)):
            self._run(height, (state or {}).get(height, {}), salt)
            header = self._header(height, last, START_NS + height * interval_ns)
            commit = commit_to(header, self.sets[height - 1], (signers or {}).get(height, self.sets[height - 1]))
            self.signed[height] = SignedHeader(header, commit)
            last = commit.block_id

    @property
    def height(self) -> int:
        return max(self.signed)

    def header_at(self, height: int) -> Header:
        return self.signed[height].header

    def trusted(self, height: int) -> TrustedState:
        return TrustedState(self.signed[height], validator_set(self.sets[height]))

    def light_block(self, height: int) -> LightBlock:
        return LightBlock(self.signed[height], validator_set(self.sets[height - 1]), validator_set(self.sets[height]))

    def signed_header(self, height: int | None = None) -> SignedHeader:
        asked = self.height if height is None else height
        self.asked.append(asked)
        if asked not in self.signed:
            raise Unavailable("unreachable", f"height {asked} must be less than or equal to {self.height}")
        return self.signed[asked]

    def validators(self, height: int | None = None) -> ValidatorSet:
        return validator_set(self.sets[(self.height if height is None else height) - 1])

    def block(self, height: int | None = None) -> RawBlock:
        asked = self.height if height is None else height
        return RawBlock(self.header_at(asked), self.txs[asked])

    def tx(self, tx_hash: bytes) -> TxAnswer | None:
        for height, txs in self.txs.items():
            for index, tx in enumerate(txs):
                if sha256(tx).digest() == tx_hash:
                    return TxAnswer(height, index, 0, "", tx, len(txs), tuple(data_proof(txs, index)))
        return None

    def abci_query(self, path: str, data: bytes, height: int = 0, prove: bool = True) -> QueryAnswer:
        asked = height or self.height - 1
        proof = self.trees[asked].prove(data).encode()
        ops = (("dccn/sparse", data, proof),)
        return QueryAnswer(0, "", asked, data, self.values[asked].get(data), ops)

    def _run(self, height: int, changes: Mapping[bytes, bytes], salt: bytes) -> None:
        self.values[height] = {**self.values[height - 1], **changes}
        tree = SparseTree()
        tree.update(self.values[height])
        self.trees[height] = tree
        pi = vrf.prove(sha256(b"vrf").digest(), height.to_bytes(8, "big"))
        self.txs[height] = (beacon_tx(pi), b"tx a" + salt + bytes([height]), b"tx b" + salt + bytes([height]))

    def _header(self, height: int, last: BlockID, time_ns: int) -> Header:
        app_hash = self.trees[height - 1].root if height > 1 else bytes(32)
        here, following = validator_set(self.sets[height - 1]), validator_set(self.sets[height])
        return Header(
            chain_id=CHAIN_ID,
            height=height,
            time_ns=time_ns,
            last_block_id=last,
            data_hash=data_hash(self.txs[height]),
            validators_hash=here.hash(),
            next_validators_hash=following.hash(),
            consensus_hash=ConsensusParams().hash(),
            app_hash=app_hash,
            proposer_address=here[0].address,
        )


@pytest.fixture(scope="session")
def made_chain() -> Callable[..., MadeChain]:
    return MadeChain


@pytest.fixture(scope="session")
def commit_by() -> Callable[..., Commit]:
    return commit_to


@pytest.fixture(scope="session")
def set_of() -> Callable[..., ValidatorSet]:
    return validator_set


@pytest.fixture(scope="session")
def four() -> list[str]:
    return ["a", "b", "c", "d"]


@pytest.fixture(scope="session")
def steady(four: list[str]) -> MadeChain:
    """Forty heights of the same four validators, with some state."""
    state = {3: {b"account/x": b"100"}, 7: {b"account/x": b"90", b"account/y": b"10"}}
    return MadeChain([four] * 41, state=state)


@pytest.fixture(scope="session")
def rotating() -> MadeChain:
    """One of four validators is replaced at every height: skipping reaches two heights far, no more."""
    return MadeChain([[f"v{height + seat}" for seat in range(4)] for height in range(33)])
