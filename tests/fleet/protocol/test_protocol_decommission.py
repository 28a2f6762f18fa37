"""The proof of wipe: one form, one signature, and nothing else passes for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.address import device_id
from chain.crypto.keys import PrivateKey
from chain.errors import Malformed, Refused
from chain.proofs.key_ids import key_id
from chain.wire import cbor, cose
from fleet.protocol.decommission import (
    MAX_STATEMENT_BYTES,
    WIPE_TAG,
    Phase,
    WipeStatement,
    check_wipe,
    read_wipe,
    sign_wipe,
)

KEY = PrivateKey.from_secret("p256", b"\1" * 32)
OTHER = PrivateKey.from_secret("p256", b"\2" * 32)
STATEMENT = WipeStatement(
    device=device_id(KEY.public),
    chain="dccn-1",
    nonce=b"n" * 16,
    at_ms=1_790_000_000_000,
    phase=Phase.before,
    method="keys-destroyed",
    volume=b"v" * 16,
    revoked_height=4711,
)
GOLDEN = (
    "8965776970653158207e3c39b54a9c5517ac558323c3bfb09154d8023db2539cdc3d00b5d6b0c41ad7"
    "666463636e2d31506e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e1b000001a0c4506c00666265666f7265"
    "6e6b6579732d64657374726f7965645076767676767676767676767676767676191267"
)

statements = st.builds(
    WipeStatement,
    device=st.just(device_id(KEY.public)),
    chain=st.text("abcdefghij-0123456789", min_size=1, max_size=40),
    nonce=st.binary(min_size=16, max_size=16),
    at_ms=st.integers(0, 2**63),
    phase=st.sampled_from(Phase),
    method=st.sampled_from(("keys-destroyed", "discarded", "overwritten", "nothing-there")),
    volume=st.none() | st.binary(min_size=16, max_size=16),
    revoked_height=st.none() | st.integers(0, 2**63),
)


def test_the_statement_has_these_very_bytes() -> None:
    assert cbor.encode(STATEMENT.body()).hex() == GOLDEN


@given(statements)
def test_what_was_signed_is_read_and_checked(statement: WipeStatement) -> None:
    data = sign_wipe(statement, KEY)
    read, envelope = read_wipe(data)
    check_wipe(read, envelope, KEY.public)
    assert read == statement and len(data) <= MAX_STATEMENT_BYTES


def test_another_key_a_stranger_or_another_purpose_proves_nothing() -> None:
    forged = cose.sign(OTHER, key_id(OTHER.public), STATEMENT.body(), WIPE_TAG, STATEMENT.chain)
    for_another_purpose = cose.sign(KEY, key_id(KEY.public), STATEMENT.body(), "dccn/enrol/v1", STATEMENT.chain)
    for_another_chain = cose.sign(KEY, key_id(KEY.public), STATEMENT.body(), WIPE_TAG, "dccn-2")
    for data, identity in ((forged, KEY), (forged, OTHER), (for_another_purpose, KEY), (for_another_chain, KEY)):
        with pytest.raises(Refused) as refused:
            check_wipe(*read_wipe(data), identity.public)
        assert refused.value.code == "bad_signature"


@pytest.mark.parametrize("position", range(9))
@pytest.mark.parametrize("wrong", [-1, "nonsense" * 20, b"x", [], 2**64, "during"])
def test_a_wrong_field_is_malformed(position: int, wrong: object) -> None:
    body = STATEMENT.body()
    if (position, wrong) in ((2, "during"), (6, "during")):
        return
    body[position] = wrong
    with pytest.raises(Malformed):
        WipeStatement.from_body(body)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_statement_or_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_wipe(data)
