"""How a new owner's device gets onto the chain although the owner has no ANKR yet, and off it again: the hub pays."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select

from chain.crypto import address
from chain.errors import Malformed, Refused
from chain.wire import transactions
from chain.wire.bodies import read_device_register, read_device_revoke
from chain.wire.kinds import DEVICE_REGISTER, DEVICE_REVOKE
from fleet.hub.actions.desk import Desk
from fleet.hub.actions.ended import open_request
from fleet.hub.actions.enrolment import identity_of
from fleet.hub.actions.events import RegistrationSponsored
from fleet.hub.identity.keyfiles import HubKeys
from fleet.hub.ports import ChainPort
from fleet.hub.store.tables import sponsorships
from fleet.protocol.limits import MAX_REGISTRATION_BYTES, SPONSORED_PER_OWNER
from fleet.protocol.topics import topic_id


def do_sponsor_registration(desk: Desk, chain: ChainPort, keys: HubKeys, raw: bytes) -> bytes:
    """Pay the fee of a device_register transaction that names this hub as fee payer: its hash (32 bytes).

    Only for devices of this fleet, and for `SPONSORED_PER_OWNER` devices of one owner. A device_revoke is paid for a
    device whose end an admin asked for. Raises Malformed, Refused(device_unknown | tx_quota | tx_unauthorised | tx_…),
    Unavailable.
    """
    transaction = transactions.decode(raw, MAX_REGISTRATION_BYTES)
    if transaction.type not in (DEVICE_REGISTER, DEVICE_REVOKE):
        raise Malformed("tx_unknown_type", f"this hub sponsors device registrations, not type {transaction.type}")
    if transaction.fee_payer != keys.account.public:
        raise Refused("tx_unauthorised", "the registration does not name this hub as its fee payer")
    if transaction.type == DEVICE_REVOKE:
        return _sponsor_revocation(desk, chain, read_device_revoke(transaction.body), raw)
    owner = address.address(transaction.sender)
    device = address.device_id(read_device_register(transaction.body).device)
    with desk.store.read() as connection:
        identity_of(connection, device)
        _check_quota(connection, owner, device)
    tx_hash = chain.sponsor(raw)
    with desk.change() as change:
        row = {"tx_hash": tx_hash, "owner": owner, "device": device, "at_ms": change.at_ms}
        change.connection.execute(insert(sponsorships).prefix_with("OR IGNORE").values(row))
        change.emit(
            RegistrationSponsored(
                at_ms=change.at_ms, device=topic_id(device), owner=address.encode(owner), tx_hash=tx_hash.hex()
            )
        )
    return tx_hash


def _sponsor_revocation(desk: Desk, chain: ChainPort, device: bytes, raw: bytes) -> bytes:
    with desk.store.read() as connection:
        if open_request(connection, device) is None:
            raise Refused("tx_unauthorised", f"nobody asked device {topic_id(device)} to leave this fleet")
    return chain.sponsor(raw)


def _check_quota(connection: Connection, owner: bytes, device: bytes) -> None:
    """A device that is tried again does not count twice."""
    others = connection.execute(
        select(func.count(func.distinct(sponsorships.c.device))).where(
            sponsorships.c.owner == owner, sponsorships.c.device != device
        )
    ).scalar_one()
    if others >= SPONSORED_PER_OWNER:
        raise Refused("tx_quota", f"this hub has paid for {others} devices of {address.encode(owner)} already")
