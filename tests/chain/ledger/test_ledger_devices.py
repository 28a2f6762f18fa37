"""Devices belong to who they and the owner say; nobody registers another's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.crypto.address import device_id
from chain.crypto.keys import PublicKey
from chain.wire.state import Device, ServiceLevel, device_key, service_key
from chain.wire.transactions import device_register, device_register_bytes, sponsor
from tests.chain.ledger.world import CHAIN, World, account, key


@pytest.fixture
def world() -> World:
    world = World()
    world.block()
    return world


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_owner_and_device_register_together(world: World, algorithm: str) -> None:
    assert world.block(world.register("carol", "box", algorithm=algorithm)).results[0].ok
    public = key("box", algorithm).public
    data = world.state.get(device_key(device_id(public)))
    assert data is not None
    device = Device.decode(data)
    assert (device.owner, PublicKey.from_cose(device.key), device.registered_height) == (account("carol"), public, 2)
    level = world.state.get(service_key(account("carol")))
    assert level is not None and ServiceLevel.decode(level).devices == 1


def test_a_device_is_registered_once(world: World) -> None:
    assert world.block(world.register("carol", "box")).results[0].ok
    assert world.block(world.register("dave", "box")).results[0].error == "tx_known_device"


def test_one_owner_has_many_devices(world: World) -> None:
    world.block(*(world.register("carol", f"box-{n}", ahead=n) for n in range(3)))
    level = world.state.get(service_key(account("carol")))
    assert level is not None and ServiceLevel.decode(level).devices == 3


def test_a_devices_consent_is_for_one_owner_on_one_chain(world: World) -> None:
    box = key("box")
    for message in (
        device_register_bytes(CHAIN, account("mallory"), box.public),
        device_register_bytes("other-chain", account("carol"), box.public),
        device_register_bytes(CHAIN, account("carol"), key("other box").public),
        b"",
    ):
        tx = world.sign("carol", device_register(box.public, box.sign(message)), fee_payer=world.hub.public)
        assert world.block(sponsor(tx, world.hub, CHAIN)).results[0].error == "bad_signature"
    assert world.state.get(device_key(device_id(box.public))) is None


@pytest.mark.parametrize("body", [[], [1, 2], [{1: 1, -1: 6, -2: b"short"}, bytes(64)], [{}, bytes(64)], [None, None]])
def test_a_malformed_registration_is_refused(world: World, body: list[object]) -> None:
    result = world.block(world.sign("hub", (9, body))).results[0]
    assert result.error in ("malformed", "bad_key") and result.charged


def test_the_sponsor_signs_for_this_device_only(world: World) -> None:
    tx = world.register("carol", "box")
    swapped = replace(tx, body=world.register("carol", "other box").body)
    assert world.block(swapped).results[0].error == "bad_signature"
