"""Everything a hostile or broken device may send: refused with a code, counted for it, and nobody else notices."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.crypto.address import device_id
from chain.crypto.keys import PrivateKey
from chain.proofs.delegation import Delegation, sign_delegation
from chain.proofs.pog.format import COMMITMENT_TAG, Commitment
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import RECORD_TAG, Record, open_record, sign_record
from chain.wire import cose
from fleet.hub.actions.bus import EventBus
from fleet.hub.actions.desk import Desk
from fleet.hub.ingest.messages import Message
from fleet.hub.ingest.service import Ingest, IngestSettings
from fleet.hub.ingest.verify import FUTURE_MS, STALE_MS, Rules
from fleet.hub.store import Store, open_store
from fleet.protocol.topics import DELEGATION, POG_COMMIT, RECEIPT, WORK, Leaf, topic_id

NOW_MS = 1_800_000_000_000
CHAIN = "adversary-1"


@dataclass
class Device:
    """A device with its own keys, which signs what it is told to."""

    seed: int
    identity: PrivateKey = field(init=False)
    record_key: PrivateKey = field(init=False)
    records: RecordChain = field(init=False)
    boot: bytes = b"b" * 16

    def __post_init__(self) -> None:
        self.identity = PrivateKey.from_secret("ed25519", bytes([self.seed]) * 32)
        self.record_key = PrivateKey.from_secret("ed25519", bytes([self.seed + 100]) * 32)
        self.records = RecordChain(device_id(self.identity.public), bytes([self.seed]) * 16)

    @property
    def id(self) -> bytes:
        return self.records.device

    def delegation(self, signer: PrivateKey | None = None, **changes: object) -> bytes:
        span = (NOW_MS - 30 * 24 * 3_600_000, NOW_MS + 30 * 24 * 3_600_000)
        body = Delegation(self.id, self.record_key.public.x, self.boot, *span)
        return sign_delegation(replace(body, **changes), signer or self.identity, CHAIN)  # type: ignore[arg-type]

    def draft(self, at_ms: int = NOW_MS, **changes: object) -> Record:
        record = self.records.draft(boot=self.boot, from_ms=at_ms - 1_000, to_ms=at_ms, host={"uptime_ms": 1})
        return replace(record, **changes)  # type: ignore[arg-type]

    def sign(self, record: Record) -> bytes:
        return sign_record(record, self.record_key, CHAIN)

    def next(self, at_ms: int = NOW_MS) -> bytes:
        signed = self.sign(self.draft(at_ms))
        opened = open_record(signed)
        self.records.advance(opened.record, opened.hash)
        return signed

    def message(self, payload: bytes, leaf: Leaf = WORK) -> Message:
        return Message(leaf.topic("home", topic_id(self.id)), payload, NOW_MS)


class Hub:
    """The real ingest on a real database, fed by hand."""

    def __init__(self, home: Path) -> None:
        self.store: Store = open_store(home)
        self.connection = self.store.connect()
        self.sent: list[tuple[Leaf, str, bytes]] = []
        rules, key = Rules(CHAIN), PrivateKey.from_secret("ed25519", b"k" * 32)
        ingest_settings = IngestSettings(rules=rules, command_key=key, epoch_at=lambda ms: ms // 60_000)
        self.ingest = Ingest(ingest_settings, Desk(self.store, EventBus(), lambda: NOW_MS), self)
        self.ingest._downlink = self

    def enrol(self, device: Device, *, registered: bool = True, certificate_ms: int = NOW_MS + 1) -> Device:
        topic, height = topic_id(device.id), 5 if registered else None
        self.connection.execute(
            "INSERT INTO devices (device, topic_id, fleet, identity_key, enrolled_ms, enrolled_by, owner,"
            " registered_height) VALUES (?,?,'home',?,0,'token',?,?)",
            (device.id, topic, device.identity.public.encoded(), bytes([device.seed]) * 20, height),
        )
        self.connection.execute("INSERT INTO certificates VALUES (?,?,0,?,'enrol')", (topic, device.id, certificate_ms))
        self.connection.execute(
            "INSERT INTO record_chains VALUES (?,?,0,?,0)", (device.id, device.records.chain, bytes(32))
        )
        self.take(device.message(device.delegation(), DELEGATION))
        return device

    def take(self, *messages: Message) -> list[str]:
        """The codes of what was refused."""
        return [refusal.code for refusal in self.ingest.process(self.connection, messages).refusals]

    def stored(self, device: Device) -> list[int]:
        rows = self.connection.execute("SELECT seq FROM records WHERE device = ? ORDER BY seq", (device.id,))
        return [seq for (seq,) in rows]

    def counted(self, code: str, device: Device | None = None) -> int:
        name = "" if device is None else topic_id(device.id)
        row = self.connection.execute(
            "SELECT count FROM refusal_counts WHERE code = ? AND topic_id = ?", (code, name)
        ).fetchone()
        return row[0] if row else 0

    def acknowledge(self, messages: object) -> None: ...

    def publish(self, leaf: Leaf, fleet: str, to: str, payload: bytes) -> bool:
        self.sent.append((leaf, to, payload))
        return True

    def committed(self, commitments: object) -> None: ...

    def opened(self, openings: object) -> None: ...


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(tmp_path)
    yield hub
    hub.connection.close()
    hub.store.close()


@pytest.fixture
def mallory(hub: Hub) -> Device:
    return hub.enrol(Device(1))


@pytest.fixture
def alice(hub: Hub) -> Device:
    return hub.enrol(Device(2))


def refused(hub: Hub, mallory: Device, alice: Device, payload: bytes, code: str, leaf: Leaf = WORK) -> None:
    """Mallory's message is refused with the code and counted, Alice's in the same batch is accepted."""
    before, mine = hub.counted(code, mallory), hub.stored(mallory)
    codes = hub.take(alice.message(alice.next()), mallory.message(payload, leaf), alice.message(alice.next()))
    assert codes == [code]
    assert hub.counted(code, mallory) == before + 1
    assert hub.stored(mallory) == mine
    assert hub.stored(alice) == [0, 1]


def test_a_forged_signature(hub: Hub, mallory: Device, alice: Device) -> None:
    honest = mallory.sign(mallory.draft())
    refused(hub, mallory, alice, honest[:-1] + bytes([honest[-1] ^ 1]), "bad_signature")


def test_a_signature_for_another_chain(hub: Hub, mallory: Device, alice: Device) -> None:
    refused(hub, mallory, alice, sign_record(mallory.draft(), mallory.record_key, "other-chain"), "bad_signature")


def test_a_signature_for_another_purpose(hub: Hub, mallory: Device, alice: Device) -> None:
    envelope = open_record(mallory.sign(mallory.draft())).envelope
    payload = cose.sign(mallory.record_key, envelope.kid, envelope.payload, COMMITMENT_TAG, CHAIN)
    refused(hub, mallory, alice, payload, "bad_signature")


def test_the_record_of_another_device(hub: Hub, mallory: Device, alice: Device) -> None:
    refused(hub, mallory, alice, Device(2).sign(Device(2).draft()), "record_foreign")


def test_the_key_of_another_device(hub: Hub, mallory: Device, alice: Device) -> None:
    payload = sign_record(mallory.draft(), alice.record_key, CHAIN)
    refused(hub, mallory, alice, payload, "delegation_invalid")


def test_a_delegation_that_somebody_else_signed(hub: Hub, mallory: Device, alice: Device) -> None:
    payload = mallory.delegation(alice.identity, boot=b"c" * 16)
    refused(hub, mallory, alice, payload, "delegation_invalid", DELEGATION)


def test_a_delegation_for_another_device(hub: Hub, mallory: Device, alice: Device) -> None:
    refused(hub, mallory, alice, mallory.delegation(device=alice.id), "record_foreign", DELEGATION)


def test_a_record_key_delegated_twice_over(hub: Hub, mallory: Device, alice: Device) -> None:
    payload = mallory.delegation(not_after_ms=NOW_MS + 1)
    refused(hub, mallory, alice, payload, "delegation_invalid", DELEGATION)


def test_a_record_of_a_boot_that_was_not_delegated(hub: Hub, mallory: Device, alice: Device) -> None:
    refused(hub, mallory, alice, mallory.sign(mallory.draft(boot=b"x" * 16)), "delegation_invalid")


def test_a_contradiction_keeps_both_records_and_is_remembered(hub: Hub, mallory: Device, alice: Device) -> None:
    first, second = mallory.sign(mallory.draft()), mallory.sign(mallory.draft(host={"uptime_ms": 2}))
    assert hub.take(mallory.message(first)) == []
    refused(hub, mallory, alice, second, "record_contradiction")
    rows = hub.connection.execute("SELECT device, first_raw, second_raw FROM contradictions").fetchall()
    assert rows == [(mallory.id, first, second)]


def test_a_contradiction_within_one_batch(hub: Hub, mallory: Device) -> None:
    first, second = mallory.sign(mallory.draft()), mallory.sign(mallory.draft(host={"uptime_ms": 2}))
    assert hub.take(mallory.message(first), mallory.message(second)) == ["record_contradiction"]
    assert hub.connection.execute("SELECT count(*) FROM contradictions").fetchone() == (1,)


def test_a_replay_is_stored_once_and_answered_with_the_receipt_again(hub: Hub, mallory: Device) -> None:
    message = mallory.message(mallory.next())
    assert hub.take(message) == []
    assert hub.take(message, message) == ["record_replay", "record_replay"]
    assert hub.stored(mallory) == [0]
    assert [leaf for leaf, _, _ in hub.sent] == [RECEIPT, RECEIPT]
    assert hub.counted("record_replay", mallory) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to_ms": NOW_MS + FUTURE_MS + 1}, "record_future"),
        ({"previous": b"p" * 32, "seq": 1}, "record_broken_chain"),
        ({"chain": b"n" * 16}, "record_broken_chain"),
        ({"seq": 5_000}, "record_gap"),
    ],
)
def test_a_record_that_cannot_be(
    hub: Hub, mallory: Device, alice: Device, changes: dict[str, object], code: str
) -> None:
    if code != "record_gap":
        hub.take(mallory.message(mallory.next()))
    refused(hub, mallory, alice, mallory.sign(mallory.draft(**changes)), code)


def test_a_stale_record_keeps_the_chain_going_but_is_in_no_epoch(hub: Hub, mallory: Device) -> None:
    old, fresh = mallory.next(NOW_MS - STALE_MS - 1), mallory.next()
    assert hub.take(mallory.message(old), mallory.message(fresh)) == ["record_stale"]
    rows = hub.connection.execute("SELECT seq, reward_epoch FROM records ORDER BY seq").fetchall()
    assert rows == [(0, -1), (1, NOW_MS // 60_000)]


def test_truncated_at_every_byte(hub: Hub, mallory: Device, alice: Device) -> None:
    whole = mallory.sign(mallory.draft())
    codes = hub.take(*(mallory.message(whole[:length]) for length in range(len(whole))))
    assert set(codes) == {"malformed"} and len(codes) == len(whole)
    assert hub.counted("malformed", mallory) == len(whole)
    assert hub.take(alice.message(alice.next())) == []


def test_oversized(hub: Hub, mallory: Device, alice: Device) -> None:
    refused(hub, mallory, alice, bytes(WORK.max_bytes + 1), "too_large")


def test_cbor_that_is_not_canonical(hub: Hub, mallory: Device, alice: Device) -> None:
    envelope = open_record(mallory.sign(mallory.draft())).envelope
    longer = envelope.payload[:1] + b"\x78\x04rec1" + envelope.payload[6:]
    assert cbor2.loads(longer) == cbor2.loads(envelope.payload)
    payload = cose.sign(mallory.record_key, envelope.kid, longer, RECORD_TAG, CHAIN)
    refused(hub, mallory, alice, payload, "non_canonical")


@pytest.mark.parametrize(
    "topic", ["", "dccn", "dccn/v1/home", "dccn/v1/home/../proof/work", "proof/work", "x" * 70_000]
)
def test_an_unknown_topic(hub: Hub, mallory: Device, alice: Device, topic: str) -> None:
    codes = hub.take(alice.message(alice.next()), Message(topic, mallory.sign(mallory.draft()), NOW_MS))
    assert codes == ["topic_unknown"]
    assert hub.counted("topic_unknown") == 1
    assert hub.stored(alice) == [0]


def test_a_leaf_that_only_the_hub_sends(hub: Hub, mallory: Device, alice: Device) -> None:
    refused(hub, mallory, alice, b"", "topic_unknown", RECEIPT)


def test_a_device_that_nobody_enrolled_is_counted_without_a_name(hub: Hub, alice: Device) -> None:
    stranger = Device(9)
    codes = hub.take(stranger.message(stranger.delegation(), DELEGATION), stranger.message(stranger.next()))
    assert codes == ["device_unknown", "device_unknown"]
    assert hub.counted("device_unknown") == 2
    assert hub.take(alice.message(alice.next())) == []


def test_a_device_that_the_chain_does_not_know(hub: Hub, alice: Device) -> None:
    mallory = hub.enrol(Device(3), registered=False)
    refused(hub, mallory, alice, mallory.sign(mallory.draft()), "device_unregistered")


def test_an_expired_certificate(hub: Hub, alice: Device) -> None:
    mallory = hub.enrol(Device(4), certificate_ms=NOW_MS - 1)
    refused(hub, mallory, alice, mallory.sign(mallory.draft()), "certificate_expired")


def test_another_fleets_topic(hub: Hub, mallory: Device, alice: Device) -> None:
    topic = f"dccn/v1/away/{topic_id(mallory.id)}/proof/work"
    message = Message(topic, mallory.sign(mallory.draft()), NOW_MS)
    assert hub.take(message, alice.message(alice.next())) == ["record_foreign"]


def commitment(signer: Device, **changes: object) -> bytes:
    body = replace(Commitment(signer.id, "cpu", "test", 64, b"r" * 32, 12), **changes)  # type: ignore[arg-type]
    kid = open_record(signer.sign(signer.draft())).envelope.kid
    return cose.sign(signer.record_key, kid, body.encoded(), COMMITMENT_TAG, CHAIN)


@pytest.mark.parametrize(
    ("state", "changes", "code"),
    [
        ("open", {"challenge_height": 13}, "pog_wrong_beacon"),
        ("open", {"profile": "light"}, "pog_malformed"),
        ("open", {"device": Device(2).id}, "record_foreign"),
        ("committed", {}, "pog_late"),
        ("closed", {}, "pog_late"),
    ],
)
def test_an_answer_to_another_challenge_or_too_late(
    hub: Hub, mallory: Device, alice: Device, state: str, changes: dict[str, object], code: str
) -> None:
    open_round(hub, state)
    refused(hub, mallory, alice, commitment(mallory, **changes), code, POG_COMMIT)


def test_a_second_answer_of_one_gpu_does_not_replace_the_first(hub: Hub, mallory: Device, alice: Device) -> None:
    open_round(hub, "open")
    assert hub.take(mallory.message(commitment(mallory), POG_COMMIT)) == []
    refused(hub, mallory, alice, commitment(mallory, root=b"s" * 32), "record_contradiction", POG_COMMIT)
    assert hub.connection.execute("SELECT root FROM pog_commitments").fetchall() == [(b"r" * 32,)]


def open_round(hub: Hub, state: str) -> None:
    hub.connection.execute(
        "INSERT INTO pog_rounds (challenge_height, beacon, profile, announced_ms, window_ms, state)"
        " VALUES (12, ?, 'test', ?, 3000, ?)",
        (b"B" * 32, NOW_MS, state),
    )


LEAVES = st.sampled_from(["proof/work", "proof/delegation", "proof/pog-commit", "proof/pog-open", "state", "reported",
                          "tele/sys", "tele/gpu/0", "tele/gpu/²", "event/warn/x", "nonsense"])  # fmt: skip
WHOLE = Device(1).sign(Device(1).draft())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(LEAVES, st.one_of(st.binary(max_size=300), st.text().map(str.encode))), max_size=20))
def test_random_bytes_on_every_topic_change_nothing_but_the_counts(
    hub: Hub, mallory: Device, messages: list[tuple[str, bytes]]
) -> None:
    prefix = f"dccn/v1/home/{topic_id(mallory.id)}/"
    hub.take(*(Message(prefix + leaf, payload, NOW_MS) for leaf, payload in messages))
    assert hub.stored(mallory) == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_no_single_changed_byte_is_accepted(hub: Hub, mallory: Device, at: int, flip: int) -> None:
    payload = WHOLE[:at] + bytes([WHOLE[at] ^ flip]) + WHOLE[at + 1 :]
    assert len(hub.take(mallory.message(payload))) == 1
    assert hub.stored(mallory) == []


def test_a_flood_of_refusals_keeps_a_bounded_log(hub: Hub, mallory: Device) -> None:
    for _ in range(30):
        hub.take(*(mallory.message(b"\x00" + os.urandom(20)) for _ in range(100)))
    assert hub.counted("malformed", mallory) == 3_000
    assert hub.connection.execute("SELECT count(*) FROM refusal_log").fetchone()[0] <= 1_000
