"""Admission as a pure function: what is known of a peer in, what it may do out.

First `screen`, which asks nobody; then `admit`, for which the chain was asked about the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from chain.crypto.address import device_id
from chain.errors import Malformed, Refused
from chain.gateway.admission.peer import Peer
from chain.gateway.admission.policy import Policy, Strangers
from chain.wire.bodies import read_device_register
from chain.wire.transactions import DEVICE_REGISTER, Transaction


class Standing(Enum):
    """What the chain proves of a device; one that was revoked and registered anew is registered."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    REVOKED = "revoked"


class Sends(Enum):
    """Which transactions a peer may send through the gateway."""

    ANYTHING = "anything"
    OWN_REGISTRATION = "its own registration"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Listing:
    """Where the lists have a peer. `allowed` is None while there is no allow list. A ban ends in `banned_s`."""

    denied: bool = False
    allowed: bool | None = None
    banned_s: float | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """What a peer may do: how often it may ask (None: as often as it likes), and what it may send."""

    per_minute: int | None
    sends: Sends


class TurnedAway(Refused):
    """A peer is sent away; `retry_after_s` says for how long, None that waiting does not help."""

    def __init__(self, code: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(code, message)
        if retry_after_s is not None and math.isfinite(retry_after_s):
            self.retry_after_s = max(1, math.ceil(retry_after_s))


def screen(peer: Peer, listing: Listing, policy: Policy) -> None:
    """Turns away whom no registration helps: `peer_denied`, `peer_banned`, `certificate_nameless`,
    `peer_not_allowed`, `certificate_needed`.
    """
    if listing.denied:
        raise TurnedAway("peer_denied", f"{peer.name} is on the deny list")
    if listing.banned_s is not None:
        raise TurnedAway("peer_banned", f"{peer.name} is banned", listing.banned_s)
    if peer.local:
        return
    if peer.certified and peer.device is None:
        raise TurnedAway("certificate_nameless", "the client certificate has no urn:dccn:device:… among its names")
    if listing.allowed is False:
        raise TurnedAway("peer_not_allowed", f"{peer.name} is not on the allow list")
    if not peer.certified and not listing.allowed and policy.strangers is Strangers.REFUSE:
        raise TurnedAway("certificate_needed", f"{peer.name} shows no client certificate")


def admit(peer: Peer, standing: Standing | None, listing: Listing, policy: Policy) -> Admission:
    """For a peer that `screen` let through; `standing` is None exactly for a peer without a device.

    Raises TurnedAway `device_revoked`.
    """
    if peer.local:
        return Admission(None, Sends.ANYTHING)
    match standing:
        case Standing.REVOKED:
            raise TurnedAway("device_revoked", f"the chain has revoked device {peer.name}")
        case Standing.REGISTERED:
            return Admission(policy.registered_per_minute, Sends.ANYTHING)
        case Standing.UNREGISTERED:
            return Admission(policy.unregistered_per_minute, Sends.OWN_REGISTRATION)
    if listing.allowed:
        return Admission(policy.registered_per_minute, Sends.ANYTHING)
    sends = Sends.ANYTHING if policy.strangers is Strangers.SEND else Sends.NOTHING
    return Admission(policy.stranger_per_minute, sends)


def check_send(peer: Peer, admission: Admission, transaction: Transaction) -> None:
    """Raises TurnedAway `peer_read_only` for a transaction that this peer may not send."""
    if admission.sends is Sends.ANYTHING:
        return
    if admission.sends is Sends.OWN_REGISTRATION and _registers(transaction) == peer.device:
        return
    raise TurnedAway("peer_read_only", f"{peer.name} may send {admission.sends.value}")


def _registers(transaction: Transaction) -> bytes | None:
    """The device that a transaction registers; None for any other."""
    if transaction.type != DEVICE_REGISTER:
        return None
    try:
        return device_id(read_device_register(transaction.body).device)
    except Malformed:
        return None
