"""The bridge's bodies and entries: what is built is read back, and nothing else is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.keys import PrivateKey
from chain.errors import DccnError, Malformed
from chain.wire import bridge, cbor
from chain.wire.amounts import MAX_AMOUNT
from chain.wire.transactions import decode, sign

KEY = PrivateKey.from_secret("ed25519", bytes(32))

addresses = st.binary(min_size=20, max_size=20).filter(any)
burns = st.binary(min_size=32, max_size=32)
forms = st.sampled_from(bridge.FORMS)


@st.composite
def amounts(draw: st.DrawFn, form: str) -> int:
    unit = bridge.UNIT_ATTO[form]
    return draw(st.integers(1, MAX_AMOUNT // unit)) * unit


@st.composite
def locks(draw: st.DrawFn) -> bridge.BridgeLock:
    form = draw(forms)
    return bridge.BridgeLock(form, draw(addresses), draw(amounts(form)))


@st.composite
def statements(draw: st.DrawFn) -> bridge.Statement:
    form = draw(forms)
    return bridge.Statement(form, draw(burns), draw(st.binary(min_size=20, max_size=20)), draw(amounts(form)))


@st.composite
def guardians(draw: st.DrawFn) -> bridge.Guardians:
    chosen = sorted(draw(st.sets(addresses, max_size=bridge.MAX_GUARDIANS)))
    least = len(chosen) // 2 + 1 if chosen else 0
    return bridge.Guardians(tuple(chosen), draw(st.integers(least, len(chosen))))


def through_a_transaction(content: bridge.Content) -> list[Any]:
    """The body as it comes out of signed bytes."""
    return decode(sign(KEY, "dccn-1", content, nonce=1, fee=5).encode()).body


@given(locks())
def test_a_lock_is_read_back(lock: bridge.BridgeLock) -> None:
    assert bridge.read_bridge_lock(through_a_transaction(bridge.bridge_lock(*lock))) == lock


@given(statements())
def test_a_statement_is_read_back(statement: bridge.Statement) -> None:
    assert bridge.read_bridge_attest(through_a_transaction(bridge.bridge_attest(statement))) == statement


@given(st.sampled_from((bridge.GUARDIAN, bridge.STAKE)), st.booleans())
def test_a_pause_is_read_back(voice: str, paused: bool) -> None:
    assert bridge.read_bridge_pause(through_a_transaction(bridge.bridge_pause(voice, paused))) == (voice, paused)


@given(guardians())
def test_guardians_are_read_back_in_whatever_order_they_were_named(chosen: bridge.Guardians) -> None:
    content = bridge.bridge_guardians(list(reversed(chosen.addresses)), chosen.threshold)
    assert bridge.read_bridge_guardians(through_a_transaction(content)) == chosen


@given(st.lists(st.tuples(statements(), st.integers(0, 2**64 - 1)), max_size=bridge.MAX_SAID))
def test_what_a_guardian_said_survives_the_state(said: list[tuple[bridge.Statement, int]]) -> None:
    entry = bridge.Said(tuple(said))
    assert bridge.Said.decode(entry.encode()) == entry


@given(guardians(), st.booleans(), st.integers(0, 2**64 - 1), forms, burns)
def test_the_bridges_entry_and_keys_survive(
    chosen: bridge.Guardians, paused: bool, number: int, form: str, burn: bytes
) -> None:
    entry = bridge.Bridge(chosen.addresses, chosen.threshold, paused, number, ((1, 2), (3, 4)))
    assert bridge.Bridge.decode(entry.encode()) == entry
    assert bridge.released_form(bridge.release_key(form, burn)) == form
    assert bridge.lock_key(number)[-8:] == number.to_bytes(8, "big")


@pytest.mark.parametrize(
    "read",
    [bridge.read_bridge_lock, bridge.read_bridge_attest, bridge.read_bridge_pause, bridge.read_bridge_guardians],
)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.binary() | st.text(), st.lists, max_leaves=12))
def test_nonsense_is_malformed_and_nothing_worse(read: Any, body: Any) -> None:
    with pytest.raises(Malformed):
        read(body)


GOLDEN = {
    "lock": (
        bridge.bridge_lock(bridge.ERC20, bytes(range(20)), 25 * 10**18),
        "8365657263323054000102030405060708090a0b0c0d0e0f10111213c249015af1d78b58c40000",
    ),
    "attest": (
        bridge.bridge_attest(bridge.Statement(bridge.BEP2, bytes(32), bytes(20), 10**10)),
        "8464626570325820" + "00" * 32 + "54" + "00" * 20 + "1b00000002540be400",
    ),
    "pause": (bridge.bridge_pause(bridge.GUARDIAN, True), "8268677561726469616ef5"),
    "guardians": (bridge.bridge_guardians([b"b" * 20, b"a" * 20], 2), "828254" + "61" * 20 + "54" + "62" * 20 + "02"),
}


@pytest.mark.parametrize(("content", "expected"), GOLDEN.values(), ids=GOLDEN)
def test_the_golden_bytes_of_every_body(content: bridge.Content, expected: str) -> None:
    assert cbor.encode(content[1]).hex() == expected


def test_a_bep2_amount_below_its_unit_cannot_be_read() -> None:
    for amount in (1, 10**10 - 1, 10**10 + 1):
        with pytest.raises(DccnError, match="whole multiples"):
            bridge.read_bridge_lock([bridge.BEP2, bytes(range(20)), amount])
