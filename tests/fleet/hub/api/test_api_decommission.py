"""The end of a device at the hub: asked for by an admin, signed by the device, and shown."""

from __future__ import annotations

import pytest

from chain.crypto import address
from chain.crypto.keys import PrivateKey
from chain.wire import transactions
from chain.wire.bodies import device_revoke
from fleet.hub.actions.decommission import do_ask_decommission
from fleet.hub.actions.enrolment import do_create_token
from fleet.hub.actions.events import DecommissionAsked, DeviceOnline, DeviceWiped, kind_of
from fleet.hub.commander import Commander
from fleet.hub.proofs.ending import Ending
from fleet.protocol.decommission import Phase, WipeStatement, sign_wipe
from fleet.protocol.enrolment import ENROL_TAG, RENEW_TAG, EnrolRequest, RenewRequest
from fleet.protocol.topics import COMMAND_DECOMMISSION, topic_id

OWNER = PrivateKey.from_secret("ed25519", b"\7" * 32)


def join(device, desk, identity):
    secret = do_create_token(desk, identity)[0].secret
    request = EnrolRequest(device.key.public, secret, None, b"c" * 16, device.csr, device.nonce())
    assert device.post("/v1/enrol", request.body(), ENROL_TAG).status_code == 200


@pytest.fixture
def member(device, desk, identity):
    """A device of the fleet, and its topic id."""
    join(device, desk, identity)
    return topic_id(address.device_id(device.key.public))


def statement(device, nonce, phase=Phase.before, chain="dccn-test", revoked=9):
    return WipeStatement(
        address.device_id(device.key.public), chain, nonce, 1, phase, "keys-destroyed", b"v" * 16, revoked
    )


def state(page, topic):
    return page.get(f"/api/devices/{topic}").json()["decommission"]


def code(answer):
    assert answer.status_code >= 400
    return answer.json()["code"]


def test_only_an_admin_ends_a_device(page, member, admin):
    path = f"/api/devices/{member}/decommission"
    assert code(page.post(path)) == "not_admin"
    assert code(page.post(path, headers={"Authorization": "Bearer guess"})) == "not_admin"
    assert state(page, member) is None
    answer = page.post(path, headers=admin)
    assert answer.status_code == 202 and answer.json()["decommission"]["state"] == "asked"


def test_a_device_that_is_not_here_cannot_be_ended(page, admin):
    assert code(page.post(f"/api/devices/{'0' * 32}/decommission", headers=admin)) == "device_unknown"


def test_the_proof_is_kept_and_shown_and_the_device_is_out(page, device, desk, identity, member, published):
    asked = do_ask_decommission(desk, identity, member)
    assert device.send("/v1/wipes", sign_wipe(statement(device, asked.nonce), device.key)).status_code == 204
    shown = state(page, member)
    assert (shown["state"], shown["method"], shown["revoked_height"]) == ("stated", "keys-destroyed", 9)
    renewal = RenewRequest(asked.device, device.csr, device.nonce())
    assert code(device.post("/v1/renew", renewal.body(), RENEW_TAG)) == "device_revoked"
    after = statement(device, asked.nonce, Phase.after, revoked=None)
    assert device.send("/v1/wipes", sign_wipe(after, device.key)).status_code == 204
    assert state(page, member)["state"] == "confirmed"
    kinds = [kind_of(event) for event in published]
    assert kinds[-3:] == ["decommission-asked", "device-wiped", "device-wiped"]


def test_a_new_owner_lets_the_same_tpm_in_again_and_the_end_is_history(page, device, desk, identity, member, clock):
    asked = do_ask_decommission(desk, identity, member)
    device.send("/v1/wipes", sign_wipe(statement(device, asked.nonce), device.key))
    clock.advance(seconds=60)
    join(device, desk, identity)
    assert state(page, member) is None
    renewal = RenewRequest(asked.device, device.csr, device.nonce())
    assert device.post("/v1/renew", renewal.body(), RENEW_TAG).status_code == 200
    assert do_ask_decommission(desk, identity, member).nonce != asked.nonce


def test_asking_again_keeps_the_nonce(desk, identity, member, published):
    first = do_ask_decommission(desk, identity, member)
    assert do_ask_decommission(desk, identity, member) == first
    assert sum(isinstance(event, DecommissionAsked) for event in published) == 1


def test_statements_that_nobody_asked_for_are_refused(page, device, desk, identity, member):
    stranger = PrivateKey.from_secret("p256", b"\x09" * 32)

    def send(made, key=device.key):
        return code(device.send("/v1/wipes", sign_wipe(made, key)))

    assert send(statement(device, b"x" * 16)) == "command_invalid"
    nonce = do_ask_decommission(desk, identity, member).nonce
    assert send(statement(device, b"x" * 16)) == "command_invalid"
    assert send(statement(device, nonce, chain="another")) == "command_invalid"
    assert send(statement(device, nonce, Phase.after)) == "command_invalid"
    assert send(statement(device, nonce), stranger) == "bad_signature"
    assert device.send("/v1/wipes", b"garbage").status_code == 400
    assert device.send("/v1/wipes", b"x" * 20_000).status_code in (400, 413)
    assert state(page, member)["state"] == "asked"


def test_the_hub_pays_for_leaving_the_chain_only_when_it_was_asked_for(device, hub, desk, identity, member):
    revocation = transactions.sign(
        OWNER,
        "dccn-test",
        device_revoke(address.device_id(device.key.public)),
        nonce=0,
        fee=5 * 10**18,
        valid_until_height=100,
        fee_payer=identity.keys.account.public,
    ).encode()
    assert code(device.send("/v1/registrations", revocation)) == "tx_unauthorised"
    do_ask_decommission(desk, identity, member)
    assert device.send("/v1/registrations", revocation).status_code == 200
    assert hub.chain.sponsored == [revocation]


class Downlink:
    """Remembers what goes down to devices."""

    def __init__(self):
        self.sent = []

    def publish(self, leaf, fleet, topic, payload):
        self.sent.append((leaf, topic))
        return True


def test_the_device_is_told_at_once_and_whenever_it_comes_back_until_it_is_out(device, desk, identity, member):
    downlink = Downlink()
    ending = Ending(desk, Commander(downlink, identity.keys.command, "home", "dccn-test", desk.now_ms))
    ending.start()
    asked = do_ask_decommission(desk, identity, member)
    desk.bus.publish(DeviceOnline(at_ms=1, device=member))
    desk.bus.publish(DeviceOnline(at_ms=1, device="f" * 32))
    ending.stop()
    assert downlink.sent == [(COMMAND_DECOMMISSION, member)] * 2
    for phase in Phase:
        device.send("/v1/wipes", sign_wipe(statement(device, asked.nonce, phase), device.key))
    again = Ending(desk, Commander(downlink, identity.keys.command, "home", "dccn-test", desk.now_ms))
    again.start()
    desk.bus.publish(DeviceOnline(at_ms=1, device=member))
    again.stop()
    assert len(downlink.sent) == 2


def test_the_events_say_who_and_how(desk, device, identity, member, published):
    asked = do_ask_decommission(desk, identity, member)
    device.send("/v1/wipes", sign_wipe(statement(device, asked.nonce), device.key))
    wiped = published[-1]
    assert isinstance(wiped, DeviceWiped)
    assert (wiped.device, wiped.phase, wiped.method, wiped.revoked_height) == (member, "before", "keys-destroyed", 9)
