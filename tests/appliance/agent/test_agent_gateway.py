"""A device asks the chain through a gateway that knows whom it lets in; what it hears there it still proves itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.agent.verified_chain import LightClients, VerifiedChain
from chain.crypto.address import address, device_id
from chain.crypto.keys import PrivateKey
from chain.errors import Unavailable
from tests.chain.gateway.admission.conftest import Door, door, node, now_ms, past
from tests.chain.gateway.conftest import ALICE, DEVICE, Past
from tests.chain.node.conftest import CHAIN_ID, HUB

__all__ = ["door", "node", "past"]


def chain_of(door: Door, past: Past, certificate: Path, folder: Path) -> VerifiedChain:
    """A device's view of the chain behind the door; its enrolment named the CA and a header to begin with."""
    header = past.client.light.header(past.height)
    answer = SimpleNamespace(
        chain_id=CHAIN_ID, trusted_height=header.height, trusted_hash=header.hash(), genesis_hash=bytes(32)
    )
    enrolment: Any = SimpleNamespace(answer=answer, broker_ca_pem=door.authority.pem.decode())
    light = LightClients(folder, lambda: enrolment, now_ms, 10.0, certificate)
    return VerifiedChain([f"{door.tls_url}/rpc"], address(HUB.public), light.make, light.forget)


def test_a_device_follows_and_proves_the_chain_through_the_gateway(door: Door, past: Past, tmp_path: Path) -> None:
    chain = chain_of(door, past, door.device(DEVICE), tmp_path)
    assert chain.update() > past.height
    assert chain.account(address(ALICE.public))[0].nonce == past.client.nonce(address(ALICE.public))
    found, _ = chain.device(device_id(DEVICE.public))
    assert found is not None and found.owner == address(ALICE.public)


def test_a_device_that_is_turned_away_hears_why(door: Door, past: Past, tmp_path: Path) -> None:
    (door.home / "deny.txt").write_text(device_id(DEVICE.public).hex())
    door.clock.now_s += 2
    with pytest.raises(Unavailable) as refused:
        chain_of(door, past, door.device(DEVICE), tmp_path).update()
    assert "403" in refused.value.message and "peer_denied" in refused.value.message


def test_a_renewed_certificate_is_shown_after_the_old_one_was_refused(door: Door, past: Past, tmp_path: Path) -> None:
    certificate = tmp_path / "client.pem"
    chain = chain_of(door, past, certificate, tmp_path)
    with pytest.raises(Unavailable):
        chain.update()  # there is none yet
    certificate.write_bytes(door.device(DEVICE, at_ms=now_ms() - 2 * 24 * 3600 * 1000).read_bytes())
    with pytest.raises(Unavailable):
        chain.update()
    certificate.write_bytes(door.device(DEVICE).read_bytes())
    assert chain.update() > past.height


def test_the_gateway_must_be_the_hubs_own(door: Door, past: Past, tmp_path: Path) -> None:
    own = door.device(PrivateKey.generate("p256"))
    chain = chain_of(door, past, own, tmp_path)
    assert chain.update()
    elsewhere = VerifiedChain(
        [f"{door.tls_url.replace('127.0.0.1', 'localhost')}/rpc"], bytes(20), chain._make_client, lambda: None
    )
    with pytest.raises(Unavailable) as refused:
        elsewhere.update()
    assert "localhost" in refused.value.message
