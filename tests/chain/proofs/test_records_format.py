"""Records, delegations, receipts and commands: their bytes, their signatures, their order."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.address import device_id
from chain.crypto.keys import PrivateKey
from chain.errors import Malformed, Refused
from chain.proofs import counters
from chain.proofs.commands import Command, CommandGate, sign_command
from chain.proofs.delegation import Delegation, open_delegation, sign_delegation
from chain.proofs.key_ids import key_id, record_key_id
from chain.proofs.receipts import Receipt, Start, open_receipt, open_start, sign_receipt, sign_start
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import Answer, Gpu, Load, Record, open_record, sign_record
from chain.wire import cbor

CHAIN_ID = "dccn-test"
IDENTITY = PrivateKey.from_secret("p256", sha256(b"identity").digest())
RECORD_KEY = PrivateKey.from_secret("ed25519", sha256(b"record").digest())
COMMAND_KEY = PrivateKey.from_secret("ed25519", sha256(b"command").digest())
DEVICE, CHAIN, BOOT = device_id(IDENTITY.public), b"\x0c" * 16, b"\x0b" * 16

LOAD = Load("lease-1", "sha256:00", cpu_ns=5, gpu_ms=None, rss=1 << 30, tx=0, rx=0, state="running")
RECORD = Record(
    DEVICE,
    CHAIN,
    seq=1,
    previous=b"\x0a" * 32,
    boot=BOOT,
    from_ms=1_000,
    to_ms=61_000,
    host={"uptime_ms": 61_000, "cpu_busy_ms": None},
    gpus=(Gpu("GPU-1", {"energy_mj": 7, "busy_ms": None}),),
    loads=(LOAD,),
    answers=(Answer(42, "pog", b"\x09" * 32),),
)


def test_a_record_is_the_array_of_the_specification() -> None:
    assert cbor.decode(RECORD.payload()) == [
        "rec1",
        DEVICE,
        CHAIN,
        1,
        b"\x0a" * 32,
        BOOT,
        1_000,
        61_000,
        {"uptime_ms": 61_000, "cpu_busy_ms": None},
        [{"uuid": "GPU-1", "energy_mj": 7, "busy_ms": None}],
        [
            {
                "lease": "lease-1",
                "image_digest": "sha256:00",
                "cpu_ns": 5,
                "gpu_ms": None,
                "rss": 1 << 30,
                "tx": 0,
                "rx": 0,
                "state": "running",
            }
        ],
        [[42, "pog", b"\x09" * 32]],
    ]


def test_golden_record() -> None:
    """Ed25519 is deterministic, so the whole envelope is fixed."""
    assert sha256(RECORD.payload()).hexdigest() == "a2b64075045e4252596a5c272eab088fe69ae1f295d79d78aefc6d4e2add70ba"
    assert (
        sha256(sign_record(RECORD, RECORD_KEY, CHAIN_ID)).hexdigest()
        == "ed180fbd22d28b0569215775073d20a8268dcb5a18bfafd1913b99355c421ce6"
    )


def test_a_signed_record_comes_back_as_it_was() -> None:
    opened = open_record(sign_record(RECORD, RECORD_KEY, CHAIN_ID))
    assert opened.record == RECORD
    assert opened.hash == sha256(RECORD.payload()).digest()
    assert opened.verify(RECORD_KEY.public.x, CHAIN_ID)


def test_a_record_is_worth_nothing_under_another_key_chain_or_purpose() -> None:
    signed = sign_record(RECORD, RECORD_KEY, CHAIN_ID)
    assert not open_record(signed).verify(COMMAND_KEY.public.x, CHAIN_ID)
    assert not open_record(signed).verify(RECORD_KEY.public.x, "another-chain")
    assert not open_record(signed).envelope.verify(RECORD_KEY.public, "dccn/receipt/v1", CHAIN_ID)


@given(
    uptime=st.none() | st.integers(0, 2**64 - 1),
    energy=st.none() | st.integers(0, 2**64 - 1),
    seq=st.integers(1, 2**64 - 1),
    length_ms=st.integers(0, 86_400_000),
    gpus=st.integers(0, 8),
)
def test_every_record_within_the_limits_survives_its_bytes(
    uptime: int | None, energy: int | None, seq: int, length_ms: int, gpus: int
) -> None:
    cards = tuple(Gpu(f"GPU-{number}", {"energy_mj": energy}) for number in range(gpus))
    record = Record(DEVICE, CHAIN, seq, bytes(32), BOOT, 5, 5 + length_ms, {"uptime_ms": uptime}, cards)
    assert Record.from_list(cbor.decode(record.payload())) == record


def test_producers_may_only_use_registered_counters_and_consumers_read_later_ones() -> None:
    later = Record(DEVICE, CHAIN, 0, bytes(32), BOOT, 1, 2, {"cpu_temperature_mk": 300_000})
    with pytest.raises(Malformed, match="not in the registry"):
        sign_record(later, RECORD_KEY, CHAIN_ID)
    assert Record.from_list(cbor.decode(later.payload())) == later


def test_every_counter_in_the_registry_has_a_unit_and_a_sentence() -> None:
    for registry in (counters.HOST, counters.GPU, counters.LOAD):
        for name, counter in registry.items():
            assert counters.NAME_PATTERN.fullmatch(name) and counter.unit and counter.meaning.endswith(".")


def test_a_chain_accepts_only_the_next_record_and_names_what_is_wrong() -> None:
    chain = RecordChain(DEVICE, CHAIN)
    first = chain.draft(boot=BOOT, from_ms=0, to_ms=1, host={})
    chain.advance(first, sha256(first.payload()).digest())
    second = chain.draft(boot=BOOT, from_ms=1, to_ms=2, host={})
    assert (second.seq, second.previous) == (1, sha256(first.payload()).digest())
    chain.check(second)
    for record, code in (
        (first, "record_replay"),
        (Record(DEVICE, CHAIN, 2, chain.head, BOOT, 1, 2, {}), "record_gap"),
        (Record(DEVICE, CHAIN, 1, bytes(32), BOOT, 1, 2, {}), "record_broken_chain"),
        (Record(DEVICE, b"\x0d" * 16, 1, chain.head, BOOT, 1, 2, {}), "record_foreign"),
        (Record(b"\x0e" * 32, CHAIN, 1, chain.head, BOOT, 1, 2, {}), "record_foreign"),
    ):
        with pytest.raises(Refused) as refused:
            chain.advance(record, bytes(32))
        assert refused.value.code == code
    assert (chain.next_seq, chain.head) == (1, sha256(first.payload()).digest()), "a refused record moves nothing"


def test_a_delegation_binds_record_key_boot_and_time_to_the_identity() -> None:
    delegation = Delegation(DEVICE, RECORD_KEY.public.x, BOOT, 1_000, 100_000)
    opened = open_delegation(sign_delegation(delegation, IDENTITY, CHAIN_ID))
    assert opened.check(IDENTITY.public, CHAIN_ID) == delegation
    assert delegation.key_id == record_key_id(RECORD_KEY.public.x)
    assert delegation.covers(RECORD)
    for outside in (
        Delegation(DEVICE, RECORD_KEY.public.x, b"\x00" * 16, 1_000, 100_000),
        Delegation(DEVICE, RECORD_KEY.public.x, BOOT, 1_001, 100_000),
        Delegation(DEVICE, RECORD_KEY.public.x, BOOT, 1_000, 60_999),
        Delegation(b"\x0e" * 32, RECORD_KEY.public.x, BOOT, 1_000, 100_000),
    ):
        assert not outside.covers(RECORD)


def test_a_delegation_by_anybody_else_is_refused() -> None:
    other = PrivateKey.from_secret("p256", sha256(b"other").digest())
    delegation = Delegation(DEVICE, RECORD_KEY.public.x, BOOT, 1_000, 100_000)
    for forged, identity, chain_id in (
        (sign_delegation(delegation, other, CHAIN_ID), IDENTITY, CHAIN_ID),
        (sign_delegation(delegation, other, CHAIN_ID), other, CHAIN_ID),
        (sign_delegation(delegation, IDENTITY, "another-chain"), IDENTITY, CHAIN_ID),
    ):
        with pytest.raises(Refused, match="delegation_invalid"):
            open_delegation(forged).check(identity.public, chain_id)


def test_receipts_and_starts_are_the_hubs_word() -> None:
    receipt = Receipt(DEVICE, CHAIN, 7, b"\x01" * 32, (9, 11), 5)
    nothing = Receipt(DEVICE, CHAIN, None, bytes(32), (0,), 5)
    start = Start(DEVICE, CHAIN, None, None, 5)
    after = Start(DEVICE, CHAIN, 12, b"\x02" * 32, 6)
    for given_receipt in (receipt, nothing):
        signed = sign_receipt(given_receipt, COMMAND_KEY, CHAIN_ID)
        assert open_receipt(signed, COMMAND_KEY.public, CHAIN_ID) == given_receipt
    for given_start in (start, after):
        signed = sign_start(given_start, COMMAND_KEY, CHAIN_ID)
        assert open_start(signed, COMMAND_KEY.public, CHAIN_ID) == given_start
    with pytest.raises(Refused, match="bad_signature"):
        open_receipt(sign_receipt(receipt, IDENTITY, CHAIN_ID), COMMAND_KEY.public, CHAIN_ID)
    with pytest.raises(Refused, match="bad_signature"):
        open_start(sign_start(start, COMMAND_KEY, "another-chain"), COMMAND_KEY.public, CHAIN_ID)
    with pytest.raises(Malformed):
        open_start(sign_receipt(receipt, COMMAND_KEY, CHAIN_ID), COMMAND_KEY.public, CHAIN_ID)
    with pytest.raises(Malformed, match="both"):
        sign_start(Start(DEVICE, CHAIN, 1, None, 5), COMMAND_KEY, CHAIN_ID)


GATE = CommandGate("home", DEVICE, COMMAND_KEY.public, command_key_not_after_ms=9_000, chain_id=CHAIN_ID)


def signed_command(signer: PrivateKey = COMMAND_KEY, **changes: object) -> bytes:
    fields = {
        "fleet": "home",
        "device": DEVICE,
        "version": 5,
        "not_after_ms": 8_000,
        "kind": "pog",
        "body": [1, "test"],
    }
    return sign_command(Command(**{**fields, **changes}), signer, CHAIN_ID)  # type: ignore[arg-type]


def test_a_command_is_obeyed_once_by_the_device_it_names() -> None:
    command = GATE.open(signed_command(), now_ms=8_000, last_version=4)
    assert (command.kind, command.body, command.version) == ("pog", [1, "test"], 5)


@pytest.mark.parametrize(
    ("data", "now_ms", "last_version"),
    [
        (signed_command(), 8_000, 5),
        (signed_command(), 8_001, 4),
        (signed_command(not_after_ms=20_000), 9_001, 4),
        (signed_command(device=b"\x0e" * 32), 8_000, 4),
        (signed_command(fleet="away"), 8_000, 4),
        (signed_command(IDENTITY), 8_000, 4),
    ],
    ids=["replayed", "expired", "key expired", "another device's", "another fleet's", "another signer's"],
)
def test_a_command_that_is_not_for_this_device_now_is_refused(data: bytes, now_ms: int, last_version: int) -> None:
    with pytest.raises(Refused, match="command_invalid"):
        GATE.open(data, now_ms=now_ms, last_version=last_version)


def test_key_ids_are_hashes_of_what_they_name() -> None:
    assert record_key_id(RECORD_KEY.public.x) == sha256(RECORD_KEY.public.x).digest()[:16]
    assert key_id(IDENTITY.public) == sha256(IDENTITY.public.encoded()).digest()[:16]
