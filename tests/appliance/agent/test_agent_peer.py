"""The access peer believes nobody: every wrong step between a record and a header is refused."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import Any

import pytest

from appliance.agent.access_peer import PENDING_TRIES, AccessPeer
from appliance.agent.owner import open_owner
from appliance.agent.registration import Registration
from appliance.agent.spool import Signed, Spool
from appliance.agent.status import StatusBoard
from chain.crypto.address import address, device_id
from chain.crypto.keys import PrivateKey
from chain.errors import Refused, Unavailable
from chain.proofs.batch import BatchLeaf, build_batch
from chain.proofs.key_ids import record_key_id
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import sign_record
from chain.wire import bodies, transactions
from chain.wire.amounts import ANKR
from chain.wire.state import Account, Device, ProviderReward, Reward

CHAIN = b"c" * 16
DEVICE_KEY = PrivateKey.generate("p256")
DEVICE = device_id(DEVICE_KEY.public)
HUB = PrivateKey.generate("ed25519")
HUB_ACCOUNT = address(HUB.public)


class SmallChain:
    """What `VerifiedChain` would have proven."""

    def __init__(self) -> None:
        self.height = 12
        self.rewards: Reward | None = None
        self.devices: Device | None = None
        self.transactions: dict[bytes, tuple[bytes, int]] = {}
        self.broken: Exception | None = None

    def update(self) -> int:
        if self.broken:
            raise self.broken
        return self.height

    def account(self, _address: bytes) -> tuple[Account, int]:
        return Account(3 * ANKR, 4), self.height

    def reward(self, _address: bytes) -> tuple[Reward | None, int]:
        return self.rewards, self.height

    def device(self, _device: bytes) -> tuple[Device | None, int]:
        return self.devices, self.height

    def transaction(self, tx_hash: bytes, height: int) -> bytes:
        raw, at = self.transactions[tx_hash]
        if at != height:
            raise Refused("proof_invalid", f"transaction is in block {at}, not {height}")
        return raw


class SmallHubApi:
    """Answers inclusion and takes registrations."""

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None
        self.refusal = "record_pending"
        self.asked: list[str] = []
        self.registered: list[bytes] = []
        self.on_register = lambda raw: None

    def get_json(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        if self.document is None:
            raise Refused(self.refusal, "in no block yet")
        return self.document

    def post_json_answer(self, _path: str, body: bytes, _content_type: str) -> dict[str, Any]:
        self.registered.append(body)
        self.on_register(body)
        return {"hash": "00" * 32}


class Outlook:
    """An access peer over a spool with one accepted record, batched with another device's."""

    def __init__(self, home: Path, clock, events) -> None:
        self.owner = open_owner(home / "owner.key")
        self.spool = Spool(home / "spool.sqlite")
        self.spool.open_chain(CHAIN)
        self.chain, self.hub = SmallChain(), SmallHubApi()
        self.board = StatusBoard(home / "status.json", clock)
        self.key = PrivateKey.generate("ed25519")
        self.raw = self.accept_record(clock)
        self.home, self.events = home, events
        self.peer = self.make_peer()

    def make_peer(self) -> AccessPeer:
        return AccessPeer(
            topic_id=DEVICE.hex()[:32],
            owner=self.owner,
            hub_account=HUB_ACCOUNT,
            chain=self.chain,
            hub=self.hub,
            spool=self.spool,
            board=self.board,
            emit=self.events,
            seen_file=self.home / "rewards.json",
            chain_id="chain",
            interval_s=0.01,
            rate_ops_per_s=lambda: 5_000_000_000,
        )

    def accept_record(self, clock) -> bytes:
        def make(head):
            draft = RecordChain(DEVICE, head.chain, head.next_seq, head.head_hash).draft(
                boot=b"b" * 16, from_ms=1, to_ms=2, host={"uptime_ms": 1}
            )
            envelope = sign_record(draft, self.key, "chain")
            from hashlib import sha256

            return Signed(envelope, sha256(draft.payload()).digest(), record_key_id(self.key.public.x))

        head = self.spool.append(make)
        raw = self.spool.waiting(limit=1)[0].envelope
        self.spool.acknowledge(CHAIN, head.next_seq - 1, head.head_hash, b"receipt")
        return raw

    def batch(self, *, hub: bytes = HUB_ACCOUNT, owner: bytes | None = None, seq: int = 0, work: int = 70) -> None:
        """Put the record into a batch, the batch into a transaction, and let the hub tell where."""
        other = BatchLeaf(b"z" * 32, CHAIN, 0, 100 - work, b"another record")
        leaves = [BatchLeaf(DEVICE, CHAIN, seq, work, self.raw), other]
        batch = build_batch(leaves)
        entry = bodies.BatchEntry(owner or self.owner.account, 1, 1, 1, 0, None, 100)
        content = bodies.proof_batch(batch.proof_batch(hub, 3, [entry]))
        raw = transactions.sign(HUB, "chain", content, nonce=0, fee=1).encode()
        tx_hash = transactions.decode(raw).hash
        self.chain.transactions[tx_hash] = (raw, 9)
        index = [leaf.raw for leaf in batch.leaves].index(self.raw)
        self.hub.document = {
            **batch.inclusion(index).document(),
            "reward_epoch": 3,
            "height": 9,
            "tx_hash": tx_hash.hex(),
            "record": base64.b64encode(self.raw).decode(),
        }

    def verdict(self) -> object:
        self.peer.look()
        return self.board.snapshot().light_client


@pytest.fixture
def outlook(home: Path, clock, events) -> Outlook:
    return Outlook(home, clock, events)


def test_its_own_record_is_found_from_leaf_to_header(outlook: Outlook, events) -> None:
    outlook.batch()
    assert outlook.verdict() == "ok"
    assert events.named("inclusion_verified") == [{"seq": 0, "height": 9, "reward_epoch": 3}]
    status = outlook.board.snapshot()
    assert (status.inclusion_verified, status.inclusion_seq, status.inclusion_height) == (True, 0, 9)
    asked = len(outlook.hub.asked)
    outlook.peer.look()
    assert len(outlook.hub.asked) == asked, "the same record is not looked for twice"


@pytest.mark.parametrize("refusal", ["record_pending", "check_failed"])
def test_a_record_that_the_hub_never_shows_is_given_up_for_a_newer_one(outlook: Outlook, clock, refusal: str) -> None:
    outlook.hub.refusal = refusal
    outlook.peer.look()
    outlook.raw = outlook.accept_record(clock)
    for _ in range(PENDING_TRIES):
        outlook.peer.look()
    assert [path.rpartition("/")[2] for path in outlook.hub.asked] == ["0"] * PENDING_TRIES + ["1"]


def test_a_record_that_is_in_no_block_yet_is_asked_for_again(outlook: Outlook, events) -> None:
    assert outlook.verdict() == "ok" and not events.named("inclusion_verified")
    outlook.batch()
    outlook.peer.look()
    assert events.named("inclusion_verified")


def lie_about_record(outlook: Outlook, document: dict[str, Any]) -> None:
    document["record"] = base64.b64encode(sign_record(_other_record(outlook), outlook.key, "chain")).decode()


def _other_record(outlook: Outlook):
    return RecordChain(DEVICE, CHAIN).draft(boot=b"b" * 16, from_ms=5, to_ms=6, host={"uptime_ms": 2})


def lie_about_sum(_outlook: Outlook, document: dict[str, Any]) -> None:
    document["leaf_sum"] = "71"


def lie_about_path(_outlook: Outlook, document: dict[str, Any]) -> None:
    document["path"] = [["00" * 32, "30"]]


def lie_about_height(outlook: Outlook, document: dict[str, Any]) -> None:
    document["height"] = 8


def lie_about_root(outlook: Outlook, document: dict[str, Any]) -> None:
    """A tree of the hub's own making, which is not the one that its transaction holds."""
    document.update(build_batch([BatchLeaf(DEVICE, CHAIN, 0, 70, outlook.raw)]).inclusion(0).document())


def lie_about_transaction(outlook: Outlook, document: dict[str, Any]) -> None:
    raw = transactions.sign(HUB, "chain", bodies.transfer(b"t" * 20, 1), nonce=1, fee=1).encode()
    tx_hash = transactions.decode(raw).hash
    outlook.chain.transactions[tx_hash] = (raw, 9)
    document["tx_hash"] = tx_hash.hex()


@pytest.mark.parametrize(
    "lie",
    [lie_about_record, lie_about_sum, lie_about_path, lie_about_height, lie_about_root, lie_about_transaction],
)
def test_a_hub_that_lies_is_not_believed(outlook: Outlook, events, lie) -> None:
    outlook.batch()
    assert outlook.hub.document is not None
    lie(outlook, outlook.hub.document)
    assert "proof_invalid" in str(outlook.verdict())
    assert not outlook.board.snapshot().inclusion_verified and not events.named("inclusion_verified")


@pytest.mark.parametrize("names", [{"hub": b"h" * 20}, {"owner": b"o" * 20}])
def test_a_batch_of_another_hub_or_for_another_owner_is_refused(outlook: Outlook, names: dict[str, bytes]) -> None:
    outlook.batch(**names)
    assert "proof_invalid" in str(outlook.verdict())


def test_a_record_that_came_too_late_for_its_epoch_claims_no_work_and_no_entry(outlook: Outlook, events) -> None:
    outlook.batch(owner=b"o" * 20, work=0)
    assert outlook.verdict() == "ok"
    assert events.named("inclusion_verified") == [{"seq": 0, "height": 9, "reward_epoch": 3}]


def test_a_record_that_cannot_be_verified_is_told_and_does_not_stop_the_next(outlook: Outlook, events, clock) -> None:
    outlook.batch(hub=b"h" * 20)
    assert "proof_invalid" in str(outlook.verdict())
    assert [told["seq"] for told in events.named("inclusion_failed")] == [0]
    assert "proof_invalid" in str(outlook.verdict()), "until one is verified"
    outlook.raw = outlook.accept_record(clock)
    outlook.batch(seq=1)
    assert outlook.verdict() == "ok"
    assert [told["seq"] for told in events.named("inclusion_verified")] == [1]
    assert len(events.named("inclusion_failed")) == 1


@pytest.mark.parametrize("document", [{}, {"root": "zz"}, {"root": 1, "path": "x"}])
def test_an_inclusion_that_cannot_be_read_is_refused(outlook: Outlook, document: dict[str, Any]) -> None:
    outlook.hub.document = document
    assert "malformed" in str(outlook.verdict())


def reward(total: int) -> Reward:
    provider = ProviderReward(3, 1, 1, 1, 0, None, 900_000, 0, 0, 0, 0, 100, 100, 600, 600, total, 0, 0, 0, total)
    return Reward(5, 9, 1, total, total, provider, None, None)


def test_a_reward_is_told_once_also_over_a_restart(outlook: Outlook, events) -> None:
    outlook.chain.rewards = reward(2 * ANKR)
    outlook.peer.look()
    outlook.peer.look()
    outlook.peer = outlook.make_peer()
    outlook.peer.look()
    told = events.named("reward_verified")
    assert len(told) == 1 and (told[0]["amount"], told[0]["height"]) == ("2", 12)
    outlook.chain.rewards = replace_total(outlook.chain.rewards, 5 * ANKR)
    outlook.peer.look()
    assert [fields["amount"] for fields in events.named("reward_verified")] == ["2", "3"]
    assert events.named("pog_passed")[0]["passed"] == 1
    assert outlook.board.snapshot().rewards_total == "5"


def replace_total(before: Reward, total: int) -> Reward:
    import msgspec

    return msgspec.structs.replace(before, total_atto=total, closed_epoch=before.closed_epoch + 1)


def test_a_node_that_is_away_is_waited_for(outlook: Outlook) -> None:
    outlook.chain.broken = Unavailable("unreachable", "nobody answers")
    assert outlook.verdict() == "waiting: nobody answers"
    outlook.chain.broken = None
    assert outlook.verdict() == "ok"


def test_a_node_that_lies_is_named(outlook: Outlook) -> None:
    outlook.chain.broken = Refused("light_invalid", "header 9 does not verify")
    assert "light_invalid" in str(outlook.verdict())


# Registration --------------------------------------------------------------------------------------------------------


class Answer:
    chain_id, transaction_fee, genesis_hash = "chain", 5 * ANKR, b"g" * 32


class SmallEnrolment:
    answer, sponsor = Answer, HUB.public


class SmallIdentity:
    key, public, device = DEVICE_KEY, DEVICE_KEY.public, DEVICE


@pytest.fixture
def registration(outlook: Outlook, events, monkeypatch) -> Registration:
    monkeypatch.setattr("appliance.agent.registration.CONFIRM_POLL_S", 0.001)
    return again(outlook, events)


def test_the_registration_is_signed_by_owner_and_device_and_paid_by_the_hub(outlook, registration, events) -> None:
    def include(raw: bytes) -> None:
        outlook.chain.devices = Device(outlook.owner.account, DEVICE_KEY.public.cose(), 11, 1)

    outlook.hub.on_register = include
    registration.run(threading.Event())
    sent = transactions.decode(outlook.hub.registered[0])
    body = bodies.read_device_register(sent.body)
    assert (sent.sender, sent.fee_payer, sent.nonce, sent.fee) == (outlook.owner.key.public, HUB.public, 4, 5 * ANKR)
    assert sent.sender.verify(sent.sign_bytes("chain"), sent.signature)
    agreed = bodies.device_register_bytes("chain", outlook.owner.account, DEVICE_KEY.public)
    assert body.device.verify(agreed, body.signature)
    assert transactions.sponsor(sent, HUB, "chain").verify("chain")
    assert events.named("registered")[0]["height"] == 11 and outlook.board.snapshot().registered


def test_nothing_counts_as_registered_before_the_hub_can_have_seen_it(outlook, registration) -> None:
    outlook.chain.devices = Device(outlook.owner.account, DEVICE_KEY.public.cose(), 12, 1)
    assert not registration.is_registered() and not registration.is_proven
    outlook.chain.height = 13
    assert registration.is_registered() and registration.is_proven


def test_a_registration_is_remembered_for_its_chain_and_owner_only(outlook, registration, events, monkeypatch) -> None:
    outlook.chain.devices = Device(outlook.owner.account, DEVICE_KEY.public.cose(), 11, 1)
    registration.run(threading.Event())
    assert again(outlook, events).is_proven
    monkeypatch.setattr(Answer, "genesis_hash", b"h" * 32)
    assert not again(outlook, events).is_proven


def again(outlook: Outlook, events) -> Registration:
    return Registration(
        identity=SmallIdentity(),
        owner=outlook.owner,
        enrolment=SmallEnrolment,
        chain=outlook.chain,
        hub=outlook.hub,
        board=outlook.board,
        emit=events,
        file=outlook.home / "registration.json",
    )


def test_a_device_that_is_registered_sends_nothing(outlook, registration, events) -> None:
    outlook.chain.devices = Device(outlook.owner.account, DEVICE_KEY.public.cose(), 11, 1)
    registration.run(threading.Event())
    assert outlook.hub.registered == [] and len(events.named("registered")) == 1


def test_a_device_of_another_owner_is_told_to_the_owner(outlook, registration) -> None:
    outlook.chain.devices = Device(b"x" * 20, DEVICE_KEY.public.cose(), 11, 1)
    with pytest.raises(Refused) as refusal:
        registration.is_registered()
    assert refusal.value.code == "tx_known_device"


def test_a_hub_that_sent_it_already_is_no_obstacle(outlook, registration) -> None:
    def twice(_raw: bytes) -> None:
        outlook.chain.devices = Device(outlook.owner.account, DEVICE_KEY.public.cose(), 11, 1)
        raise Refused("tx_known_device", "registered already")

    outlook.hub.on_register = twice
    registration.run(threading.Event())
    assert outlook.board.snapshot().registered
