"""State, transactions and beacons under verified headers; a node that lies about any of them is refused."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from chain.crypto import vrf
from chain.errors import DccnError, Malformed, Refused, Unavailable
from chain.light.client import LightClient
from chain.light.inclusion import (
    verified_beacon,
    verified_state,
    verified_transaction,
    verified_transactions,
    verified_tx,
    verify_state,
)
from chain.light.rpc import RawBlock
from chain.slsbft import next_beacon

X, Y, Z = b"account/x", b"account/y", b"account/nobody"


class Liar:
    """Answers like the chain, but passes one answer through `bend`."""

    def __init__(self, chain: Any, method: str, bend: Any) -> None:
        self.chain, self.method, self.bend = chain, method, bend

    def __getattr__(self, name: str) -> Any:
        answer = getattr(self.chain, name)
        if name != self.method:
            return answer
        return lambda *args, **kwargs: self.bend(answer(*args, **kwargs))


def client_of(chain: Any, rpc: Any = None) -> LightClient:
    now_ns = chain.header_at(chain.height).time_ns + 10**9
    return LightClient(rpc or chain, "dccn-test", 1, chain.header_at(1).hash(), now_ns=lambda: now_ns)


def test_a_value_is_proven_under_the_next_header(steady: Any) -> None:
    client = client_of(steady)
    assert verified_state(client, X) == (b"90", 39)
    assert verified_state(client, X, height=5) == (b"100", 5)
    assert verified_state(client, Y, height=5) == (None, 5), "absence is proven too"
    assert verified_state(client, Z) == (None, 39)


def lies() -> dict[str, Any]:
    return {
        "more money": lambda answer: replace(answer, value=b"1000000"),
        "no such account": lambda answer: replace(answer, value=None),
        "another height's value": lambda answer: replace(answer, height=answer.height - 35),
        "another key's proof": lambda answer: replace(
            answer, proof_ops=((answer.proof_ops[0][0], Y, answer.proof_ops[0][2]),)
        ),
        "no proof": lambda answer: replace(answer, proof_ops=()),
        "another kind of proof": lambda answer: replace(answer, proof_ops=(("ics23:iavl", X, b""),)),
        "random bytes for a proof": lambda answer: replace(answer, proof_ops=(("dccn/sparse", X, b"\x80"),)),
        "two proofs": lambda answer: replace(answer, proof_ops=answer.proof_ops * 2),
        "height zero": lambda answer: replace(answer, height=0),
    }


@pytest.mark.parametrize("lie", lies())
def test_a_lie_about_state_is_refused(steady: Any, lie: str) -> None:
    client = client_of(steady, Liar(steady, "abci_query", lies()[lie]))
    with pytest.raises(DccnError) as refused:
        verified_state(client, X)
    assert refused.value.code in {"proof_invalid", "malformed"}


def test_an_answer_of_another_height_than_asked_is_refused(steady: Any) -> None:
    client = client_of(steady, Liar(steady, "abci_query", lambda _: steady.abci_query("/state", X, 4)))
    with pytest.raises(Refused, match="proof_invalid"):
        verified_state(client, X, height=5)


def test_a_node_that_has_pruned_the_height_is_unavailable(steady: Any) -> None:
    client = client_of(steady, Liar(steady, "abci_query", lambda answer: replace(answer, code=1, log="pruned")))
    with pytest.raises(Unavailable, match="pruned"):
        verified_state(client, X)


def test_state_proofs_do_not_move_to_another_root(steady: Any) -> None:
    answer = steady.abci_query("/state", X, 5)
    assert verify_state(steady.header_at(6).app_hash, X, b"100", answer.proof_ops)
    assert not verify_state(steady.header_at(9).app_hash, X, b"100", answer.proof_ops)
    with pytest.raises(Malformed):
        verify_state(steady.header_at(6).app_hash, X, b"100", [])


def test_a_transaction_is_proven_to_be_in_its_block(steady: Any) -> None:
    client, tx = client_of(steady), steady.txs[6][2]
    found = verified_tx(client, sha256(tx).digest())
    assert found is not None and (found.height, found.index, found.tx) == (6, 2, tx)
    assert verified_transaction(client, sha256(tx).digest(), 6) == tx
    assert verified_tx(client, bytes(32)) is None
    with pytest.raises(Unavailable):
        verified_transaction(client, bytes(32), 6)
    with pytest.raises(Refused, match="proof_invalid"):
        verified_transaction(client, sha256(tx).digest(), 7)


@pytest.mark.parametrize(
    "change", [{"tx": b"another"}, {"height": 7}, {"index": 1}, {"total": 4}, {"path": ()}, {"path": (bytes(32),) * 2}]
)
def test_a_lie_about_a_transaction_is_refused(steady: Any, change: dict[str, Any]) -> None:
    client = client_of(steady, Liar(steady, "tx", lambda answer: replace(answer, **change)))
    with pytest.raises(Refused, match="proof_invalid"):
        verified_tx(client, sha256(steady.txs[6][2]).digest())


def test_another_transaction_with_a_good_proof_is_refused(steady: Any) -> None:
    other = steady.tx(sha256(steady.txs[6][1]).digest())
    with pytest.raises(Refused, match="another transaction"):
        verified_tx(client_of(steady, Liar(steady, "tx", lambda _: other)), sha256(steady.txs[6][2]).digest())


def test_the_beacon_is_that_of_the_blocks_first_transaction(steady: Any) -> None:
    beta = vrf.proof_to_hash(vrf.prove(sha256(b"vrf").digest(), (6).to_bytes(8, "big")))
    assert verified_beacon(client_of(steady), 6) == next_beacon(beta)
    assert verified_transactions(client_of(steady), 6) == steady.txs[6]


def test_a_lie_about_the_beacon_is_refused(steady: Any) -> None:
    other = steady.txs[7][0]
    for bend in (
        lambda block: RawBlock(block.header, (other, *block.txs[1:])),
        lambda block: RawBlock(block.header, block.txs[:1]),
        lambda block: RawBlock(block.header, ()),
        lambda block: RawBlock(block.header, block.txs[::-1]),
    ):
        with pytest.raises(Refused, match="proof_invalid"):
            verified_beacon(client_of(steady, Liar(steady, "block", bend)), 6)
