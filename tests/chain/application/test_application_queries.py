"""Queries: what is answered can be proven against the header after it, also for heights long past."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from chain.application.abci import RequestCommit, RequestQuery
from chain.application.app import Application
from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.crypto.sparse_proof import SparseProof, verify_sparse
from chain.errors import REGISTRY
from chain.ledger.parameters import Parameters
from chain.wire.state import PARAMETERS_KEY, Account, account_key, decode_parameters

HUB = PrivateKey.from_secret("ed25519", sha256(b"hub").digest())
PAYEES = [address(PrivateKey.from_secret("ed25519", bytes([i]) * 32).public) for i in range(1, 40)]


def ask(chain, key: bytes, height: int = 0):
    return chain.app.query(RequestQuery("/state", key, height, prove=True))


def verifies(chain, key: bytes, height: int) -> bool:
    """Whether the proof of `key` at `height` leads to the app hash that header `height` + 1 carries."""
    answer = ask(chain, key, height)
    assert (answer.code, answer.height, answer.proof_ops[0].type, answer.proof_ops[0].key) == (
        0,
        height,
        "dccn/sparse",
        key,
    )
    app_hash = chain.app_hashes[height - 1] if height else chain.init.app_hash
    return verify_sparse(app_hash, key, answer.value or None, SparseProof.decode(answer.proof_ops[0].data))


def test_every_kept_height_is_proven_against_its_own_app_hash(chain) -> None:
    for payee in PAYEES:
        chain.block([chain.payment(to=payee)])
    for height in range(1, chain.app.height + 1):
        for index in (0, 7, 38):
            assert verifies(chain, account_key(PAYEES[index]), height)
        assert verifies(chain, b"nothing is here", height)
        expected = sum(1 for paid in PAYEES[:height] if paid == PAYEES[7])
        value = ask(chain, account_key(PAYEES[7]), height).value
        assert (Account.decode(value).balance_atto // 10**18 if value else 0) == expected


def test_height_0_answers_from_the_newest_height_whose_successor_header_exists(chain) -> None:
    for _ in range(3):
        chain.block([chain.payment(to=PAYEES[0])])
    answer = ask(chain, account_key(PAYEES[0]))
    assert answer.height == 2
    assert Account.decode(answer.value).balance_atto == 2 * 10**18
    assert verifies(chain, account_key(PAYEES[0]), answer.height)


def test_before_the_second_block_nothing_is_proven_but_genesis_can_be_read(chain) -> None:
    key = account_key(address(HUB.public))
    for _ in range(2):
        assert ask(chain, key).code == REGISTRY["height_unknown"].number
        answer = chain.app.query(RequestQuery("/state", key))
        assert (answer.height, Account.decode(answer.value)) == (0, Account(10**6 * 10**18, 0))
        chain.block()
    assert ask(chain, key).height == 1


def test_between_finalize_and_commit_queries_see_only_what_is_committed(chain) -> None:
    chain.block([chain.payment(to=PAYEES[0])])
    request = chain.proposal([chain.payment(to=PAYEES[0])])
    app_hash = chain.app.finalize_block(request).app_hash
    assert verifies(chain, account_key(PAYEES[0]), 1)
    assert ask(chain, account_key(PAYEES[0]), 2).code == REGISTRY["height_unknown"].number
    chain.app.commit(RequestCommit())
    chain.app_hashes.append(app_hash)
    assert verifies(chain, account_key(PAYEES[0]), 2)


def test_history_survives_a_restart_and_ends_where_it_is_not_kept(
    chain, new_application: Callable[[str], Application]
) -> None:
    for index in range(140):
        chain.block([chain.payment(to=PAYEES[index % 39])])
    chain.app = new_application("first")
    oldest = chain.app.height - 128
    assert verifies(chain, account_key(PAYEES[3]), oldest)
    assert verifies(chain, account_key(PAYEES[3]), chain.app.height)
    refused = ask(chain, account_key(PAYEES[3]), oldest - 1)
    assert (refused.code, refused.value) == (REGISTRY["height_unknown"].number, b"")
    assert refused.log.startswith("height_unknown: ")


def test_beacons_and_parameters_have_paths_of_their_own(chain) -> None:
    chain.block()
    chain.block()
    for data, height in ((b"0", 0), (b"1", 1), (b"2", 2), (b"", 1)):
        answer = chain.app.query(RequestQuery("/beacon", data))
        assert (answer.value, answer.height) == (chain.app.beacon(height), height)
    answer = chain.app.query(RequestQuery("/parameters", prove=True))
    assert decode_parameters(answer.value) == Parameters.demo().by_name
    proof = SparseProof.decode(answer.proof_ops[0].data)
    assert verify_sparse(chain.app_hashes[answer.height - 1], PARAMETERS_KEY, answer.value, proof)


@pytest.mark.parametrize(
    "request_",
    [
        RequestQuery("/nothing"),
        RequestQuery(""),
        RequestQuery("/state", b""),
        RequestQuery("/state", bytes(600)),
        RequestQuery("/state", b"key", -1),
        RequestQuery("/state", b"key", 99),
        RequestQuery("/beacon", b"99"),
        RequestQuery("/beacon", b"\xff"),
        RequestQuery("/beacon", b"-1"),
    ],
)
def test_a_bad_question_gets_a_code(chain, request_: RequestQuery) -> None:
    answer = chain.app.query(request_)
    assert answer.code in (REGISTRY["malformed"].number, REGISTRY["height_unknown"].number)
    assert answer.log
