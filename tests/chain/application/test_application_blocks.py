"""The application behind ABCI: replay, crashes, the beacon's rules, the idle chain, CheckTx."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from chain.application.abci import (
    CheckTxType,
    RequestCheckTx,
    RequestCommit,
    RequestInfo,
    RequestInitChain,
    RequestPrepareProposal,
    RequestProcessProposal,
    RequestQuery,
    ResponseProcessProposal,
)
from chain.application.app import Application
from chain.application.proposal import total_bytes
from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.errors import REGISTRY, DccnError, Faulty, Malformed
from chain.wire.state import Reward, reward_key
from chain.wire.transactions import ANKR, beacon_tx, sign, transfer


def code(name: str) -> int:
    return REGISTRY[name].number


def propose(chain, request) -> ResponseProcessProposal:
    return chain.app.process_proposal(
        RequestProcessProposal(
            request.txs, request.decided_last_commit, b"", request.height, request.time_ns, request.proposer_address
        )
    )


def test_the_same_blocks_give_the_same_app_hashes_on_a_fresh_store(
    chain, new_application: Callable[[str], Application], genesis_request: RequestInitChain
) -> None:
    for height in range(1, 30):
        chain.block([chain.payment(amount) for amount in (ANKR, 2 * ANKR)] if height % 3 else [])
    again = new_application("second")
    assert again.init_chain(genesis_request) == chain.init
    for request, expected in zip(chain.log, chain.app_hashes, strict=True):
        assert again.finalize_block(request).app_hash == expected
        again.commit(RequestCommit())
    assert len(set(chain.app_hashes)) > 20


def test_a_crash_between_finalize_and_commit_loses_only_work(
    chain, new_application: Callable[[str], Application]
) -> None:
    chain.block([chain.payment()])
    request = chain.proposal([chain.payment()])
    finalized = chain.app.finalize_block(request)
    restarted = new_application("first")
    info = restarted.info(RequestInfo())
    assert (info.last_block_height, info.last_block_app_hash) == (1, chain.app_hashes[0])
    assert restarted.finalize_block(request) == finalized
    restarted.commit(RequestCommit())
    assert restarted.info(RequestInfo()).last_block_app_hash == finalized.app_hash


def test_a_restart_after_commit_goes_on_where_it_was(chain, new_application: Callable[[str], Application]) -> None:
    for _ in range(3):
        chain.block([chain.payment()])
    beacons = [chain.app.beacon(height) for height in range(-1, 4)]
    chain.app = new_application("first")
    assert [chain.app.beacon(height) for height in range(-1, 4)] == beacons
    assert chain.block([chain.payment()]).tx_results[1].code == 0


def test_an_idle_block_keeps_the_app_hash_and_its_precommits_are_paid_later(chain) -> None:
    chain.block([chain.payment()])
    chain.to_next_boundary()
    first_of_epoch, before = chain.app.height, chain.app_hashes[-1]
    assert chain.block().app_hash == before
    assert chain.block().app_hash == before
    assert len({chain.app.beacon(height) for height in range(chain.app.height + 1)}) == chain.app.height + 1
    chain.block([chain.payment()])
    chain.to_next_boundary()
    # Four validators precommitted every block of the epoch, idle or not; equal counts mean equal, non-zero rewards.
    owners = [PrivateKey.from_secret("ed25519", sha256(b"owner %d" % i).digest()) for i in range(4)]
    keys = [reward_key(address(owner.public)) for owner in owners]
    rewards = [Reward.decode(chain.app.query(RequestQuery("/state", key, chain.app.height)).value) for key in keys]
    counts = [reward.producer.count for reward in rewards]
    epoch_blocks = chain.app.height - first_of_epoch
    assert counts == [epoch_blocks] * 4


def test_genesis_that_is_none_or_has_other_validators_is_refused(
    new_application: Callable[[str], Application], genesis_request: RequestInitChain
) -> None:
    app = new_application("other")
    with pytest.raises(Malformed):
        app.init_chain(replace(genesis_request, app_state_bytes=b"{"))
    with pytest.raises(Malformed):
        app.init_chain(replace(genesis_request, app_state_bytes=b"{}"))
    with pytest.raises(Malformed, match="validators"):
        app.init_chain(replace(genesis_request, validators=genesis_request.validators[:3]))
    assert app.init_chain(genesis_request) == app.init_chain(genesis_request)


class TestBeacon:
    def test_a_proposal_needs_exactly_one_beacon_and_first(self, chain) -> None:
        good = chain.proposal([chain.payment()])
        beacon, payment = good.txs
        assert propose(chain, good).accepted
        for txs in (
            (),
            (payment,),
            (payment, beacon),
            (beacon, beacon),
            (beacon, payment, beacon),
            (beacon_tx(bytes(80)), payment),
        ):
            assert not propose(chain, replace(good, txs=txs)).accepted

    def test_the_beacon_belongs_to_its_proposer_and_height(self, chain) -> None:
        other = chain.proposal(proposer=2)
        assert not propose(chain, replace(chain.proposal(proposer=1), txs=other.txs)).accepted
        stale = chain.proposal(proposer=3).txs
        chain.block()
        assert not propose(chain, replace(chain.proposal(proposer=3), txs=stale)).accepted
        stranger = replace(chain.proposal(), proposer_address=bytes(20))
        assert not propose(chain, stranger).accepted

    def test_finalize_checks_it_again_and_halts(self, chain) -> None:
        request = replace(chain.proposal(proposer=1), txs=chain.proposal(proposer=2).txs)
        with pytest.raises(DccnError) as caught:
            chain.app.finalize_block(request)
        assert caught.value.code == "beacon_invalid"
        with pytest.raises(DccnError):
            chain.app.finalize_block(replace(request, txs=()))

    def test_nobody_can_send_one(self, chain) -> None:
        assert chain.app.check_tx(RequestCheckTx(chain.proposal().txs[0])).code == code("tx_system")

    def test_without_the_proposers_vrf_key_there_is_no_proposal(self, chain) -> None:
        request = chain.proposal()
        with pytest.raises(Faulty, match="VRF key"):
            chain.app.prepare_proposal(
                RequestPrepareProposal(1 << 20, (), request.decided_last_commit, 1, request.time_ns, bytes(20))
            )


class TestProposals:
    def test_what_is_malformed_or_badly_signed_is_left_out_and_refused(self, chain) -> None:
        good = chain.payment()
        forged = good[:-3] + bytes([good[-3] ^ 1]) + good[-2:]
        request = chain.proposal([b"noise", forged, good])
        assert request.txs[1:] == (good,)
        for bad in (b"noise", forged):
            assert not propose(chain, replace(request, txs=(*request.txs, bad))).accepted

    def test_a_block_never_exceeds_the_bytes_it_is_given(self, chain) -> None:
        payments = tuple(chain.payment() for _ in range(10))
        request = chain.proposal()
        for room in (100, 300, 500, 2_000):
            answer = chain.app.prepare_proposal(
                RequestPrepareProposal(
                    room, payments, request.decided_last_commit, 1, request.time_ns, request.proposer_address
                )
            )
            assert total_bytes(answer.txs) <= room
            assert answer.txs[1:] == payments[: len(answer.txs) - 1]
        assert len(answer.txs) > 5

    def test_a_decided_transaction_that_fails_has_a_result_and_does_not_stop_the_chain(self, chain) -> None:
        chain.nonce = 7
        answer = chain.block([chain.payment()])
        assert answer.tx_results[1].code == code("tx_bad_nonce")
        assert answer.tx_results[1].log.startswith("tx_bad_nonce: ")
        chain.nonce = 0
        assert chain.block([chain.payment()]).tx_results[1].code == 0

    def test_blocks_come_in_order_and_are_committed_once(self, chain) -> None:
        chain.block()
        with pytest.raises(DccnError):
            chain.app.finalize_block(chain.log[-1])
        request = chain.proposal()
        chain.app.finalize_block(request)
        with pytest.raises(Faulty, match="was finalized after"):
            chain.app.finalize_block(request)
        chain.app.commit(RequestCommit())
        with pytest.raises(Faulty, match="without a finalized block"):
            chain.app.commit(RequestCommit())


class TestCheckTx:
    def test_nonces_count_on_between_blocks(self, chain) -> None:
        first, second, third = (chain.payment() for _ in range(3))
        assert chain.app.check_tx(RequestCheckTx(second)).code == code("tx_bad_nonce")
        assert [chain.app.check_tx(RequestCheckTx(tx)).code for tx in (first, second, third)] == [0, 0, 0]
        assert chain.app.check_tx(RequestCheckTx(third)).code == code("tx_bad_nonce")
        chain.block([first])
        assert chain.app.check_tx(RequestCheckTx(third, CheckTxType.RECHECK)).code == code("tx_bad_nonce")
        assert [chain.app.check_tx(RequestCheckTx(tx, CheckTxType.RECHECK)).code for tx in (second, third)] == [0, 0]

    @pytest.mark.parametrize("noise", [b"", b"\x00", b"\x82\x00", b"\xff" * 50, b"\x8a" + b"\x01" * 10])
    def test_noise_gets_a_code(self, chain, noise: bytes) -> None:
        assert chain.app.check_tx(RequestCheckTx(noise)).code in (
            code("malformed"),
            code("non_canonical"),
            code("tx_system"),
        )

    def test_a_signature_for_another_chain_is_bad(self, chain) -> None:
        key = PrivateKey.generate("ed25519")
        tx = sign(key, "other-chain", transfer(bytes(20), 1), nonce=0, fee=5 * ANKR).encode()
        assert chain.app.check_tx(RequestCheckTx(tx)).code == code("bad_signature")
