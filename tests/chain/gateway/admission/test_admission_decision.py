"""The table of docs/gateway.md, row by row: who may ask, how often, and send what."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from chain.crypto.address import device_id
from chain.crypto.keys import PrivateKey
from chain.errors import Refused
from chain.gateway.admission.decision import Admission, Listing, Sends, Standing, TurnedAway, admit, check_send, screen
from chain.gateway.admission.peer import Peer
from chain.gateway.admission.policy import DEFAULT_POLICY, Fault, Policy, Strangers
from chain.wire.transactions import Content, Transaction, device_register, sign, transfer

DEVICE = PrivateKey.from_secret("p256", bytes([7]) * 32)
OTHER = PrivateKey.from_secret("p256", bytes([8]) * 32)
ID = device_id(DEVICE.public)

HERE = Peer("127.0.0.1", ip_address("127.0.0.1"))
STRANGER = Peer("192.0.2.7", ip_address("192.0.2.7"))
NAMELESS = Peer("192.0.2.7", ip_address("192.0.2.7"), certified=True)
CERTIFIED = Peer(ID.hex(), ip_address("192.0.2.7"), certified=True, device=ID)
CERTIFIED_HERE = Peer(ID.hex(), ip_address("127.0.0.1"), certified=True, device=ID)
NOWHERE = Peer("unknown", None)

REFUSE, READ, SEND = (Policy(strangers=each) for each in Strangers)
NEW, KNOWN, REVOKED = Standing.UNREGISTERED, Standing.REGISTERED, Standing.REVOKED
FREE = Admission(None, Sends.ANYTHING)
SLOW_READER, SLOW = Admission(60, Sends.NOTHING), Admission(60, Sends.ANYTHING)
NEWCOMER, FULL = Admission(60, Sends.OWN_REGISTRATION), Admission(1_200, Sends.ANYTHING)


def decide(peer: Peer, standing: Standing | None, listing: Listing, policy: Policy) -> Admission:
    screen(peer, listing, policy)
    return admit(peer, standing, listing, policy)


@pytest.mark.parametrize(
    ("peer", "standing", "listing", "policy", "expected"),
    [
        (HERE, None, Listing(), REFUSE, FREE),
        (HERE, None, Listing(allowed=False), REFUSE, FREE),
        (STRANGER, None, Listing(), READ, SLOW_READER),
        (STRANGER, None, Listing(), SEND, SLOW),
        (STRANGER, None, Listing(allowed=True), REFUSE, FULL),
        (NOWHERE, None, Listing(), READ, SLOW_READER),
        (CERTIFIED, NEW, Listing(), REFUSE, NEWCOMER),
        (CERTIFIED, NEW, Listing(allowed=True), REFUSE, NEWCOMER),
        (CERTIFIED, NEW, Listing(), SEND, NEWCOMER),
        (CERTIFIED, KNOWN, Listing(), REFUSE, FULL),
        (CERTIFIED, KNOWN, Listing(allowed=True), REFUSE, FULL),
        (CERTIFIED_HERE, NEW, Listing(), REFUSE, NEWCOMER),
    ],
)
def test_a_peer_may(
    peer: Peer, standing: Standing | None, listing: Listing, policy: Policy, expected: Admission
) -> None:
    assert decide(peer, standing, listing, policy) == expected


@pytest.mark.parametrize(
    ("peer", "standing", "listing", "policy", "code"),
    [
        (HERE, None, Listing(denied=True), SEND, "peer_denied"),
        (CERTIFIED, KNOWN, Listing(denied=True, allowed=True), SEND, "peer_denied"),
        (CERTIFIED, KNOWN, Listing(banned_s=5), SEND, "peer_banned"),
        (STRANGER, None, Listing(banned_s=5, allowed=True), SEND, "peer_banned"),
        (NAMELESS, None, Listing(), SEND, "certificate_nameless"),
        (NAMELESS, None, Listing(allowed=True), SEND, "certificate_nameless"),
        (STRANGER, None, Listing(allowed=False), SEND, "peer_not_allowed"),
        (CERTIFIED, KNOWN, Listing(allowed=False), SEND, "peer_not_allowed"),
        (STRANGER, None, Listing(), REFUSE, "certificate_needed"),
        (NOWHERE, None, Listing(), REFUSE, "certificate_needed"),
        (CERTIFIED, REVOKED, Listing(), SEND, "device_revoked"),
        (CERTIFIED, REVOKED, Listing(allowed=True), SEND, "device_revoked"),
        (CERTIFIED_HERE, REVOKED, Listing(), SEND, "device_revoked"),
    ],
)
def test_a_peer_is_turned_away(
    peer: Peer, standing: Standing | None, listing: Listing, policy: Policy, code: str
) -> None:
    with pytest.raises(TurnedAway) as refused:
        decide(peer, standing, listing, policy)
    assert refused.value.code == code


@pytest.mark.parametrize(("left_s", "told"), [(0.2, 1), (59.1, 60), (3_600, 3_600), (float("inf"), None)])
def test_a_ban_says_when_it_ends(left_s: float, told: int | None) -> None:
    with pytest.raises(TurnedAway) as refused:
        screen(CERTIFIED, Listing(banned_s=left_s), REFUSE)
    assert refused.value.retry_after_s == told


def transaction(content: Content) -> Transaction:
    return sign(OTHER, "chain", content, nonce=0, fee=0)


OWN = device_register(DEVICE.public, bytes(64))
ANOTHERS = device_register(OTHER.public, bytes(64))
BROKEN: Content = (OWN[0], [1])


@pytest.mark.parametrize(
    ("peer", "admission", "content", "may"),
    [
        (STRANGER, SLOW, transfer(bytes(20), 1), True),
        (STRANGER, SLOW_READER, transfer(bytes(20), 1), False),
        (STRANGER, SLOW_READER, OWN, False),
        (CERTIFIED, FULL, transfer(bytes(20), 1), True),
        (CERTIFIED, NEWCOMER, OWN, True),
        (CERTIFIED, NEWCOMER, ANOTHERS, False),
        (CERTIFIED, NEWCOMER, BROKEN, False),
        (CERTIFIED, NEWCOMER, transfer(bytes(20), 1), False),
    ],
)
def test_who_may_send_what(peer: Peer, admission: Admission, content: Content, may: bool) -> None:
    try:
        check_send(peer, admission, transaction(content))
    except Refused as error:
        assert not may and error.code == "peer_read_only"
    else:
        assert may


def test_the_page_tells_every_code_and_number_of_admission() -> None:
    page = (Path(__file__).parents[4] / "docs" / "gateway.md").read_text(encoding="utf-8")
    codes = ["peer_denied", "peer_banned", "certificate_nameless", "peer_not_allowed", "certificate_needed"]
    codes += ["device_revoked", "peer_read_only", "peer_over_rate"]
    assert [code for code in codes if f"`{code}`" not in page] == []
    rates = [DEFAULT_POLICY.registered_per_minute, DEFAULT_POLICY.unregistered_per_minute]
    assert all(f"| {rate:,} |".replace(",", " ") in page for rate in rates)
    assert DEFAULT_POLICY.stranger_per_minute == DEFAULT_POLICY.unregistered_per_minute
    points = [DEFAULT_POLICY.points(fault) for fault in Fault]
    told = "cannot be read {:.0f}, a transaction that the chain refuses {:.0f}, a request over the rate {:.0f}."
    assert told.format(*points) in page and f"at {DEFAULT_POLICY.ban_score:.0f} the peer is banned" in page
