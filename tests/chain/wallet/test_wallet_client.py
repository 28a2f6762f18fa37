"""The client against a real node: what it answers is proven, what it sends arrives once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.errors import Malformed, Refused, Unavailable
from chain.light.rpc import QueryAnswer, RpcClient
from chain.wallet.client import ChainClient
from chain.wallet.outbox import Outbox, Sent, same_payment
from chain.wallet.settlement import Pacing
from chain.wallet.trust import Trust
from chain.wire.transactions import ANKR, Transaction, transfer
from tests.chain.node.conftest import CHAIN_ID, HUB, NodeUnderTest

Fund = Callable[[int], PrivateKey]


def somebody() -> bytes:
    return secrets.token_bytes(20)


def test_a_transfer_arrives_and_its_result_is_proven(client: ChainClient, funded: Fund) -> None:
    key, to = funded(100), somebody()
    paid = client.transfer(key, to, 40 * ANKR)
    end = client.wait(paid)
    assert (end.state, end.code, end.transaction) == ("committed", 0, paid) and end.height
    assert client.balance(to) == 40 * ANKR and client.nonce(address(key.public)) == 1
    assert client.balance(address(key.public)) == 100 * ANKR - 40 * ANKR - paid.fee
    assert client.status(paid.hash) == end


def test_sending_the_same_bytes_again_pays_once(client: ChainClient, funded: Fund) -> None:
    key, to = funded(100), somebody()
    paid = client.transfer(key, to, 10 * ANKR)
    for _ in range(5):
        assert client.send(paid) == paid.hash
    assert client.wait(paid).state == "committed"
    assert client.send(paid) == paid.hash
    other = ChainClient(client.rpc.url)
    assert other.send(paid) == paid.hash and other.balance(to) == 10 * ANKR


def test_payments_in_a_row_take_nonces_in_a_row(client: ChainClient, funded: Fund) -> None:
    key, to = funded(100), somebody()
    paid = [client.transfer(key, to, ANKR) for _ in range(4)]
    assert [one.nonce for one in paid] == [0, 1, 2, 3]
    assert [client.wait(one).state for one in paid] == ["committed"] * 4
    assert client.balance(to) == 4 * ANKR


def test_operators_stake_and_seats_are_proven_and_agree(client: ChainClient) -> None:
    addresses = client.operators().value
    bonded = [client.operator(each).value for each in addresses]
    assert addresses and list(addresses) == sorted(addresses) and None not in bonded
    assert client.stake().value.total_atto == sum(each.bond_atto for each in bonded if each is not None)
    seats = client.seats().value
    assert seats and {seat.operator for seat in seats} <= set(addresses)
    for signer in client.validators().value.validators:
        key = client.validator(signer.address).value
        assert key is not None and key.operator in addresses and key.consensus_public == signer.public


def test_what_is_not_there_is_proven_to_be_absent(client: ChainClient) -> None:
    nobody, nothing = somebody(), secrets.token_bytes(32)
    absent = (
        client.operator(nobody),
        client.validator(nobody),
        client.deal(nothing),
        client.revoked_device(nothing),
        client.unbonding(10**6),
    )
    assert [each.value for each in absent] == [None] * 5 and all(each.height for each in absent)


def test_what_a_node_lost_is_sent_again_while_waiting(node: NodeUnderTest, funded: Fund) -> None:
    key, to = funded(50), somebody()
    client = ChainClient(node.url, pacing=Pacing(poll_s=0.02, resend_s=0.05))
    signed = client.sign(key, client.build(key.public, transfer(to, ANKR)))  # never sent
    assert client.wait(signed).state == "committed" and client.balance(to) == ANKR


def test_what_cannot_be_paid_is_refused_before_it_is_signed(client: ChainClient, funded: Fund) -> None:
    key = funded(10)
    with pytest.raises(Refused) as refused:
        client.transfer(key, somebody(), 9 * ANKR)
    assert refused.value.code == "tx_insufficient_funds" and "from 10" in refused.value.message
    assert client.build(key.public, transfer(somebody(), ANKR)).nonce == 0


def test_what_the_node_refuses_comes_back_with_its_code(client: ChainClient, funded: Fund) -> None:
    key = funded(20)
    cheap = client.sign(key, client.build(key.public, transfer(somebody(), ANKR), fee=1))
    with pytest.raises(Refused) as refused:
        client.send(cheap)
    assert refused.value.code == "tx_fee_too_low"
    forged = replace(cheap, signature=bytes(64))
    with pytest.raises(Refused) as refused:
        client.send(forged)
    assert refused.value.code in ("bad_signature", "tx_fee_too_low")


def test_a_transaction_whose_nonce_went_to_another_is_told_so(client: ChainClient, funded: Fund) -> None:
    key, to = funded(50), somebody()
    first = client.transfer(key, to, ANKR)
    assert client.wait(first).state == "committed"
    late = client.sign(key, client.build(key.public, transfer(to, 2 * ANKR), nonce=0))
    assert client.wait(late).state == "replaced"


def test_a_transaction_that_came_too_late_has_a_certain_end(client: ChainClient, funded: Fund) -> None:
    key = funded(50)
    late = client.sign(key, client.build(key.public, transfer(somebody(), ANKR), valid_until_height=2))
    assert client.wait(late).state == "expired"


def test_nobody_waits_for_ever(client: ChainClient, funded: Fund) -> None:
    key = funded(50)
    early = client.sign(key, client.build(key.public, transfer(somebody(), ANKR), nonce=7))
    assert client.wait(early, timeout_s=0.2).state == "waiting"
    assert client.status(secrets.token_bytes(32)).state == "unknown"


def test_supply_parameters_clock_and_validators_are_proven(client: ChainClient, node: NodeUnderTest) -> None:
    assert client.supply().value.total_atto == 10_000_000_000 * ANKR
    assert client.parameters().value["transaction_fee_atto"] == 5 * ANKR
    assert client.clock().value.reward_epoch >= 0
    assert len(client.validators().value) == 4 and client.validators(2).height == 2
    assert client.device(bytes(32)).value is None and client.service_level(somebody()).value is None


def test_the_operators_reward_and_the_epoch_that_paid_it_are_proven(client: ChainClient, node: NodeUnderTest) -> None:
    operator = address(node.home.operators[0].account.public)
    deadline = 400
    while (reward := client.reward(operator).value) is None and deadline:
        node.next_blocks()
        deadline -= 1
    assert reward is not None and reward.producer is not None
    summary = client.epoch(reward.closed_epoch).value
    assert summary is not None and summary.height == reward.height


def test_a_lying_node_is_caught(client: ChainClient, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = RpcClient.abci_query

    def richer(self: RpcClient, path: str, data: bytes, height: int = 0, prove: bool = True) -> QueryAnswer:
        answer = honest(self, path, data, height, prove)
        assert answer.value is not None
        return replace(answer, value=answer.value[:-1] + b"\x63")

    monkeypatch.setattr(RpcClient, "abci_query", richer)
    with pytest.raises(Refused) as refused:
        client.account(address(HUB.public))
    assert refused.value.code == "proof_invalid"


def test_a_node_that_makes_up_a_result_is_caught(
    client: ChainClient, funded: Fund, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = funded(50)
    paid = client.transfer(key, somebody(), ANKR)
    assert client.wait(paid).state == "committed"
    honest = RpcClient.block_results

    def failing(self: RpcClient, height: int) -> object:
        results = honest(self, height)
        return replace(results, outcomes=tuple(replace(each, code=12) for each in results.outcomes))

    monkeypatch.setattr(RpcClient, "block_results", failing)
    with pytest.raises(Refused) as refused:
        client.status(paid.hash)
    assert refused.value.code == "proof_invalid"


def test_what_was_verified_once_is_remembered_and_a_wrong_anchor_is_not(node: NodeUnderTest, tmp_path: Path) -> None:
    first = ChainClient(node.url, memory=tmp_path)
    assert first.own_word
    first.supply()
    again = ChainClient(node.url, memory=tmp_path)
    assert not again.own_word and "verified here before" in again.trusted
    with pytest.raises(Refused) as refused:
        ChainClient(node.url, Trust(2, bytes(32)), memory=tmp_path)
    assert refused.value.code == "light_invalid"
    assert not ChainClient(node.url, memory=tmp_path).own_word
    good = first.light.header(2)
    named = ChainClient(node.url, Trust.parse(f"2:{good.hash().hex()}"), memory=tmp_path)
    assert "named by you" in named.trusted and named.supply().height > 2


@pytest.mark.parametrize("text", ["", "5", "x:" + "0" * 64, "0:" + "0" * 64, "5:" + "0" * 63, "5:" + "g" * 64])
def test_a_trusted_header_is_height_and_hash(text: str) -> None:
    with pytest.raises(Malformed):
        Trust.parse(text)


def test_a_node_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(Unavailable):
        ChainClient("http://127.0.0.1:9")


def signed(client: ChainClient, key: PrivateKey, nonce: int, until: int = 1_000) -> Transaction:
    unsigned = client.build(key.public, transfer(bytes(20), ANKR), nonce=nonce, valid_until_height=until)
    return client.sign(key, unsigned)


def test_the_outbox_knows_what_waits_and_what_a_key_stands_for(client: ChainClient, tmp_path: Path) -> None:
    outbox, key = Outbox(tmp_path), PrivateKey.generate("ed25519")
    account = address(key.public)
    first, second, later = (signed(client, key, nonce) for nonce in (0, 1, 3))
    for one, once in ((first, "rent-may"), (second, None), (later, None)):
        outbox.put(Sent(CHAIN_ID, one, once))
    assert outbox.next_nonce(account, CHAIN_ID, 0, 10) == 2
    assert outbox.next_nonce(account, CHAIN_ID, 0, 1_000) == 0  # all of them expired
    assert outbox.next_nonce(account, "another", 0, 10) == 0
    found = outbox.paid_under("rent-may", CHAIN_ID)
    assert found and found.transaction == first == same_payment(found, first).transaction
    assert outbox.paid_under("rent-may", "another") is None
    with pytest.raises(Refused) as refused:
        same_payment(found, client.build(key.public, transfer(bytes(20), 2 * ANKR)))
    assert refused.value.code == "tx_duplicate"
    outbox.forget(first.hash)
    assert outbox.paid_under("rent-may", CHAIN_ID) is None and outbox.get(second.hash)
    with pytest.raises(Malformed):
        outbox.paid_under("../x", CHAIN_ID)
