"""The signed report of hardware tests: golden bytes, laws of the format, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.keys import PrivateKey
from chain.errors import Malformed
from chain.proofs.key_ids import key_id
from chain.wire import cbor, cose
from fleet.protocol.acceptance import ACCEPTANCE_TAG, MAX_RESULTS, MAX_TEXT, OUTCOMES, Acceptance, Result
from fleet.protocol.enrolment import NO_CHAIN

REPORT = Acceptance(
    device=bytes(range(32)),
    profile="rig-4090x2",
    level="quick",
    started_ms=1_800_000_000_000,
    ended_ms=1_800_000_045_000,
    results=(
        Result("test_gpu.test_every_card_on_the_bus_answers", "passed", "", 12),
        Result("test_tpm.test_it_is_of_version_two", "skipped", "there is no TPM", 0),
    ),
    nonce=bytes(16),
)
GOLDEN = (
    "8864616363315820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f6a7269672d3430393078"
    "3265717569636b1b000001a3185c50001b000001a3185cffc88284782b746573745f6770752e746573745f65766572795f63"
    "6172645f6f6e5f7468655f6275735f616e737765727366706173736564600c847822746573745f74706d2e746573745f6974"
    "5f69735f6f665f76657273696f6e5f74776f67736b69707065646f7468657265206973206e6f2054504d0050000000000000"
    "00000000000000000000"
)

texts = st.text(max_size=MAX_TEXT)
results = st.builds(Result, texts, st.sampled_from(OUTCOMES), texts, st.integers(0, 2**53))
names = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,62}", fullmatch=True)
reports = st.builds(
    Acceptance,
    device=st.binary(min_size=32, max_size=32),
    profile=st.just("") | names,
    level=names,
    started_ms=st.integers(0, 2**40),
    ended_ms=st.integers(2**40, 2**53),
    results=st.lists(results, min_size=1, max_size=20).map(tuple),
    nonce=st.binary(min_size=16, max_size=16),
)


def test_a_report_is_these_very_bytes() -> None:
    encoded = cbor.encode(REPORT.body())
    assert encoded.hex() == GOLDEN
    assert Acceptance.from_body(cbor.decode(encoded)) == REPORT


@given(reports)
def test_a_report_is_read_as_it_was_written(report: Acceptance) -> None:
    assert Acceptance.from_body(cbor.decode(cbor.encode(report.body()))) == report


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=9), max_leaves=30,
))  # fmt: skip
def test_anything_else_is_malformed_and_nothing_worse(body: object) -> None:
    with pytest.raises(Malformed):
        Acceptance.from_body(body)
    with pytest.raises(Malformed):
        Acceptance.from_body(["acc1", *([body] * 7)])


@pytest.mark.parametrize(
    "changed",
    [{"device": b"short"}, {"nonce": b""}, {"profile": "No Name"}, {"level": "a\nb"}, {"ended_ms": 1}, {"results": ()},
     {"started_ms": True}, {"results": REPORT.results * MAX_RESULTS}, {"ended_ms": 2**60},
     {"results": (Result("x" * 201, "passed", "", 0),)}, {"results": (Result("x", "perhaps", "", 0),)}],  # type: ignore[arg-type]
)  # fmt: skip
def test_a_report_outside_its_bounds_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        Acceptance.from_body(replace(REPORT, **changed).body())  # type: ignore[arg-type]


def test_it_is_passed_when_nothing_failed_and_something_passed() -> None:
    passed, skipped, failed = (Result("t", outcome, "", 0) for outcome in OUTCOMES[:1] + OUTCOMES[2:] + OUTCOMES[1:2])
    assert replace(REPORT, results=(passed, skipped)).is_passed
    assert not replace(REPORT, results=(skipped,)).is_passed
    assert not replace(REPORT, results=(passed, failed)).is_passed
    assert REPORT.counts == {"passed": 1, "failed": 0, "skipped": 1}


def test_one_changed_outcome_breaks_the_signature() -> None:
    key = PrivateKey.generate("p256")
    sealed = cose.sign(key, key_id(key.public), REPORT.body(), ACCEPTANCE_TAG, NO_CHAIN)
    envelope = cose.open_envelope(sealed, 65_536)
    assert envelope.verify(key.public, ACCEPTANCE_TAG, NO_CHAIN)
    forged = cose.open_envelope(sealed.replace(b"passed", b"failed", 1), 65_536)
    assert not forged.verify(key.public, ACCEPTANCE_TAG, NO_CHAIN)
