"""What it costs a small device to verify a header that a hundred validators signed, against the bare signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from nacl.bindings import crypto_sign_open

from chain.crypto.keys import PrivateKey
from chain.crypto.sparse import SparseTree
from chain.light.step import LightBlock, TrustedState, TrustOptions, verify
from chain.wire.cometbft import BlockID, Commit, CommitSig, Header, PartSetHeader, SignedHeader, Validator, ValidatorSet
from tools.bench.measure import Row, interleaved

VALIDATORS, FEWER = 100, 21
ACCOUNTS = 200_000
CHAIN_ID = "bench"
SECOND_NS = 10**9


def rows() -> Iterator[Row]:
    keys = [PrivateKey.from_secret("ed25519", hashlib.sha256(b"%d" % n).digest()) for n in range(VALIDATORS)]
    validators = ValidatorSet(tuple(Validator(key.public.x, 1) for key in keys))
    trusted = TrustedState(signed_header(1, keys, validators), validators)
    block = LightBlock(signed_header(50, keys, validators), validators, validators)
    options = TrustOptions()
    needed = VALIDATORS * 2 // 3 + 1
    message = bytes(120)
    signed = [(key.sign(message) + message, key.public.x) for key in keys[:needed]]

    def ours() -> None:
        verdict = verify(trusted, block, 60 * SECOND_NS, options)
        assert verdict.ok, verdict.reason

    def bare() -> None:
        for data, public in signed:
            crypto_sign_open(data, public)

    taken, limit = interleaved(ours, bare)
    name = f"light client: skip to a header of {VALIDATORS} validators"
    yield Row(name, taken * 1_000, "ms CPU", aim=("<=", 6.0))
    yield Row("the same against bare signatures", taken * 1_000, "ms CPU", f"{needed} verifications, ms", limit * 1_000)
    path = SparseTree((b"account/%d" % number, b"value") for number in range(ACCOUNTS)).prove(b"account/1").encode()
    for count, most in ((VALIDATORS, 12_288), (FEWER, 5_120)):
        some = ValidatorSet(validators.validators[:count])
        header = signed_header(50, keys, some)
        size = len(header.header.encode()) + len(header.commit.encode()) + len(path)
        yield Row(f"a proof of a balance at {count} validators: header, commit, path", size, "bytes", aim=("<=", most))


def signed_header(height: int, keys: list[PrivateKey], validators: ValidatorSet) -> SignedHeader:
    by_address = {Validator(key.public.x, 1).address: key for key in keys}
    header = Header(
        version_block=11,
        version_app=1,
        chain_id=CHAIN_ID,
        height=height,
        time_ns=height * SECOND_NS,
        last_block_id=BlockID(bytes(32), PartSetHeader(1, bytes(32))),
        last_commit_hash=bytes(32),
        data_hash=bytes(32),
        validators_hash=validators.hash(),
        next_validators_hash=validators.hash(),
        consensus_hash=bytes(32),
        app_hash=bytes(32),
        last_results_hash=bytes(32),
        evidence_hash=bytes(32),
        proposer_address=validators.validators[0].address,
    )
    block_id = BlockID(header.hash(), PartSetHeader(1, bytes(32)))
    unsigned = tuple(CommitSig(2, one.address, height * SECOND_NS, b"") for one in validators.validators)
    commit = Commit(height, 0, block_id, unsigned)
    signatures = tuple(
        replace(one, signature=by_address[one.validator_address].sign(commit.vote_sign_bytes(CHAIN_ID, index)))
        for index, one in enumerate(unsigned)
    )
    return SignedHeader(header, replace(commit, signatures=signatures))
