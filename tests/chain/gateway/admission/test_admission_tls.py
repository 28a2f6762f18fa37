"""Admission at a real door: TLS handshakes with a hub's certificates, a real chain behind it."""

from __future__ import annotations

import base64
import contextlib
import socket
from pathlib import Path

import psutil
import pytest
import urllib3

from chain.crypto.address import address, device_id
from chain.crypto.keys import PrivateKey
from chain.gateway import protocol
from chain.wallet.client import ChainClient
from chain.wire.bodies import device_revoke
from chain.wire.transactions import ANKR, Content, Transaction, device_register, device_register_bytes, sign, transfer
from fleet.hub.identity.authority import Authority
from tests.chain.gateway.admission.conftest import STRICT, Door, now_ms
from tests.chain.gateway.conftest import ALICE, DEVICE, QUICK, Past
from tests.chain.node.conftest import CHAIN_ID, NodeUnderTest

STATUS, SUPPLY = "/v1/status", "/v1/supply"


def key() -> PrivateKey:
    return PrivateKey.generate("p256")


def outside() -> str:
    """An address of this machine that is not loopback."""
    own = [one.address for each in psutil.net_if_addrs().values() for one in each if one.family is socket.AF_INET]
    found = [each for each in own if not each.startswith("127.")]
    return found[0] if found else pytest.skip("this machine has no address but loopback")


def registration(device: PrivateKey) -> Content:
    promise = device_register_bytes(CHAIN_ID, address(ALICE.public), device.public)
    return device_register(device.public, device.sign(promise))


def signed_by_alice(past: Past, content: Content) -> Transaction:
    return past.client.sign(ALICE, past.client.build(ALICE.public, content))


def done(past: Past, content: Content) -> None:
    signed = signed_by_alice(past, content)
    past.client.send(signed)
    assert past.client.wait(signed).state == "committed"


def test_without_a_certificate_this_machine_is_served_at_its_own_port_only(door: Door, past: Past) -> None:
    assert urllib3.request("GET", door.url + STATUS).status == 200
    assert door.visitor().code(STATUS) == "", "loopback is this machine at the TLS listener too"


def test_a_stranger_from_another_address_is_refused_at_both_ports(door: Door, past: Past) -> None:
    visitor = door.visitor(outside=outside())
    assert (visitor.get(STATUS).status, visitor.code(STATUS)) == (403, "certificate_needed")
    assert visitor.code("/schema/openapi.json") == visitor.code("/nothing") == "certificate_needed"
    assert door.visitor(door.device(DEVICE), outside=outside()).code(STATUS) == ""
    plain = urllib3.request("GET", door.url.replace("127.0.0.1", outside()) + STATUS)
    assert plain.json()["code"] == "certificate_needed"


def test_a_registered_device_reads_and_sends(door: Door, past: Past) -> None:
    visitor = door.visitor(door.device(DEVICE))
    assert visitor.code(SUPPLY) == ""
    paid = signed_by_alice(past, transfer(bytes(20), ANKR))
    assert visitor.post("/v1/transactions", {"transaction": paid.encode().hex()}).status == 202
    assert past.client.wait(paid).state == "committed"


def test_a_new_device_reads_registers_itself_and_then_sends_what_it_likes(door: Door, past: Past) -> None:
    device = key()
    certificate = door.device(device)
    visitor = door.visitor(certificate)
    client = ChainClient(f"{door.tls_url}/rpc", pacing=QUICK, tls=door.context(certificate))
    assert client.nonce(address(ALICE.public)) == past.client.nonce(address(ALICE.public))
    paid = signed_by_alice(past, transfer(bytes(20), ANKR))
    answer = visitor.post("/v1/transactions", {"transaction": paid.encode().hex()})
    assert (answer.status, answer.json()["code"]) == (403, "peer_read_only")
    relayed = visitor.post("/rpc", {"id": 1, "method": "broadcast_tx_sync", "params": {"tx": "gA=="}})
    assert "peer_read_only" in relayed.json()["error"]["data"]
    past.client.send(paid)  # its nonce is used
    assert past.client.wait(paid).state == "committed"

    own = signed_by_alice(past, registration(device))
    assert visitor.post("/v1/transactions", {"transaction": own.encode().hex()}).status == 202
    assert past.client.wait(own).state == "committed"
    door.clock.now_s += 11
    later = signed_by_alice(past, transfer(bytes(20), ANKR))
    client.send(later)
    assert client.wait(later).state == "committed"


def test_a_device_that_the_chain_revoked_is_refused_until_it_is_registered_anew(
    door: Door, past: Past, node: NodeUnderTest
) -> None:
    device = key()
    visitor = door.visitor(door.device(device))
    done(past, registration(device))
    assert visitor.code(SUPPLY) == ""
    done(past, device_revoke(device_id(device.public)))
    door.clock.now_s += 11
    assert (visitor.get(SUPPLY).status, visitor.code(SUPPLY)) == (403, "device_revoked")
    again = past.client.clock().value.reward_epoch + past.client.parameters().value["challenge_window_epochs"] + 3
    while past.client.clock().value.reward_epoch < again:
        node.next_blocks()
    done(past, registration(device))
    door.clock.now_s += 11
    assert visitor.code(SUPPLY) == ""


def test_a_certificate_of_another_authority_or_an_old_one_does_not_get_through_the_handshake(
    door: Door, past: Past, tmp_path: Path
) -> None:
    foreign = door.device(DEVICE, authority=Authority.open(tmp_path / "other", "home", now_ms()))
    expired = door.device(DEVICE, at_ms=now_ms() - 2 * 24 * 3600 * 1000)
    for certificate in (foreign, expired):
        with pytest.raises((urllib3.exceptions.SSLError, urllib3.exceptions.ProtocolError)):
            door.visitor(certificate).get(STATUS)
    assert door.visitor(door.device(DEVICE)).code(STATUS) == ""


def test_a_certificate_that_names_no_device_opens_nothing(door: Door, past: Past, tmp_path: Path) -> None:
    secret, certificate = door.authority.issue_pair("hub", [], now_ms())
    (tmp_path / "hub.pem").write_bytes(secret + certificate)
    assert door.visitor(tmp_path / "hub.pem").code(STATUS) == "certificate_nameless"


def test_the_lists_count_from_the_second_in_which_they_are_written(door: Door, past: Past) -> None:
    visitor, other = door.visitor(door.device(DEVICE)), door.visitor(door.device(key()))
    assert visitor.code(STATUS) == other.code(STATUS) == ""
    (door.home / "deny.txt").write_text(f"{device_id(DEVICE.public).hex()}  # it knows why\n")
    door.clock.now_s += 2
    assert (visitor.code(STATUS), other.code(STATUS)) == ("peer_denied", "")
    (door.home / "deny.txt").unlink()
    (door.home / "allow.txt").write_text(f"{device_id(DEVICE.public).hex()}\n")
    door.clock.now_s += 2
    assert (visitor.code(STATUS), other.code(STATUS)) == ("", "peer_not_allowed")


def test_who_asks_too_often_waits_as_long_as_is_told(door: Door, past: Past) -> None:
    visitor = door.visitor(door.device(key()))
    answers = [visitor.get("/v1/nothing") for _ in range(STRICT.unregistered_per_minute + 1)]
    assert {each.status for each in answers[:-1]} == {404}
    assert (answers[-1].status, answers[-1].json()["code"]) == (429, "peer_over_rate")
    wait_s = int(answers[-1].headers["Retry-After"])
    assert visitor.get("/v1/nothing").status == 429
    door.clock.now_s += wait_s
    assert visitor.get("/v1/nothing").status == 404
    door.clock.now_s += 60
    assert visitor.get("/v1/nothing").status == 404
    batch = [{"id": 1, "method": "health"}] * 20
    assert len(visitor.post("/rpc", batch).json()) == 20
    assert visitor.post("/rpc", batch).json()["code"] == "peer_over_rate", "a batch counts as so many requests"
    assert door.visitor(door.device(DEVICE)).code(STATUS) == "", "another device is not held up"


def test_who_sends_rubbish_is_banned_and_comes_back_when_the_ban_ends(door: Door, past: Past) -> None:
    visitor = door.visitor(door.device(DEVICE))
    statuses = [visitor.post("/v1/transactions", {"transaction": "zz"}).status for _ in range(11)]
    assert statuses == [400] * 10 + [403]
    banned = visitor.get(STATUS)
    assert banned.json()["code"] == "peer_banned" and int(banned.headers["Retry-After"]) == STRICT.ban_s
    assert urllib3.request("GET", door.url + STATUS).status == 200
    door.clock.now_s += STRICT.ban_s
    assert visitor.code(STATUS) == ""


def test_faults_that_are_rare_are_forgiven(door: Door, past: Past) -> None:
    visitor = door.visitor(door.device(DEVICE))
    for _ in range(20):
        assert visitor.post("/v1/transactions", {"transaction": "zz"}).status == 400
        door.clock.now_s += STRICT.half_life_s
    assert visitor.code(STATUS) == ""


def test_transactions_that_the_chain_refuses_count_on_both_ways(door: Door, past: Past) -> None:
    visitor = door.visitor(door.device(DEVICE))
    cheap = sign(ALICE, CHAIN_ID, transfer(bytes(20), ANKR), nonce=0, fee=1)
    for _ in range(2):
        assert (
            visitor.post("/v1/transactions", {"transaction": cheap.encode().hex()}).json()["code"] == "tx_fee_too_low"
        )
    params = {"tx": base64.b64encode(cheap.encode()).decode()}
    for _ in range(2):
        assert visitor.post("/rpc", {"id": 1, "method": "broadcast_tx_sync", "params": params}).status == 200
    assert visitor.code(STATUS) == "peer_banned"


def test_half_a_handshake_holds_nobody_up(door: Door, past: Past) -> None:
    port = int(door.tls_url.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    with socket.create_connection(("127.0.0.1", port)) as rude:
        rude.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert door.visitor(door.device(DEVICE)).code(STATUS) == ""
    for each in silent:
        each.close()


@pytest.mark.parametrize("said", [b"", b"GET /v1/sta", b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n["])
def test_a_request_that_never_ends_is_given_up(
    door: Door, past: Past, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_S", 0.2)
    with socket.create_connection(("127.0.0.1", int(door.url.rpartition(":")[2])), timeout=30) as slow:
        slow.sendall(said)
        with contextlib.suppress(ConnectionResetError):
            assert slow.recv(100) == b""
    assert urllib3.request("GET", door.url + STATUS).status == 200


def test_one_address_has_so_many_connections_and_this_machine_any(
    door: Door, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PEER_CONNECTIONS", 3)
    port = int(door.url.rpartition(":")[2])

    def is_served(one: socket.socket) -> bool:
        try:
            one.sendall(b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            return one.recv(100).startswith(b"HTTP/1.1")
        except ConnectionResetError:
            return False

    for host, expected in (("127.0.0.1", 6), (outside(), 3)):
        many = [socket.create_connection((host, port), timeout=30) for _ in range(6)]
        assert sum(is_served(each) for each in many) == expected
        for each in many:
            each.close()
