"""Lists and bans in files that somebody writes while the gateway runs; and who a connection is."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path

import pytest

from chain.errors import Faulty
from chain.gateway.admission import bans as bans_module
from chain.gateway.admission.bans import Bans
from chain.gateway.admission.lists import ListFile, parse_list, parse_peer
from chain.gateway.admission.peer import Peer, peer_of
from tests.chain.gateway.admission.clock import Clock

DEVICE = bytes(range(32))


def at(address: str, device: bytes | None = None) -> Peer:
    return Peer("name", ip_address(address), device is not None, device)


def test_a_list_names_devices_addresses_and_networks() -> None:
    text = f"# friends\n\n{DEVICE.hex().upper()}  # the cellar\n192.0.2.0/24\n2001:db8::/32\n198.51.100.7\n"
    listed = parse_list(text, "allow.txt")
    inside = (at("203.0.113.1", DEVICE), at("192.0.2.200"), at("2001:db8::5"), at("198.51.100.7"))
    assert all(peer in listed for peer in inside)
    outside = (at("203.0.113.1", bytes(32)), at("198.51.100.8"), at("2001:db9::1"), Peer("unknown", None))
    assert not any(peer in listed for peer in outside)
    assert not parse_list("# nobody\n", "allow.txt")


@pytest.mark.parametrize("line", ["x", "192.0.2.0/33", DEVICE.hex()[:-1], "192.0.2.1 192.0.2.2", "\x00"])
def test_a_line_that_is_nobody_is_told_with_its_number(line: str) -> None:
    with pytest.raises(Faulty) as fault:
        parse_list(f"192.0.2.1\n{line}\n", "deny.txt")
    assert fault.value.code == "home_invalid" and "line 2 of deny.txt" in fault.value.message


def test_a_list_is_read_again_when_it_changes_and_kept_when_the_change_cannot_be_read(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "deny.txt"
    denied = ListFile(path, clock)
    assert at("192.0.2.1") not in denied.current()
    for text, expected in (("192.0.2.1\n", True), ("not a peer\n", True), ("192.0.2.222\n", False)):
        path.write_text(text)
        clock.now_s += 2
        assert (at("192.0.2.1") in denied.current()) is expected
    path.unlink()
    clock.now_s += 2
    assert not denied.current()


def test_a_gateway_does_not_start_without_the_list_that_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "allow.txt"
    for data in (b"nobody\n", b"\xff\xfe"):
        path.write_bytes(data)
        with pytest.raises(Faulty):
            ListFile(path, Clock())


def test_a_ban_lasts_as_long_as_it_says_and_survives_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    bans = Bans(tmp_path / "bans.json", clock)
    bans.put("a", 60, "faults")
    bans.put("b", None, "by hand")
    for book in (bans, Bans(tmp_path / "bans.json", clock)):
        assert (book.left_s("a"), book.left_s("b"), book.left_s("c")) == (60, float("inf"), None)
    clock.now_s += 61
    assert bans.left_s("a") is None and set(bans.all()) == {"b"}


def test_another_process_bans_and_lifts_while_the_gateway_runs(tmp_path: Path) -> None:
    clock = Clock()
    gateway, command = Bans(tmp_path / "bans.json", clock), Bans(tmp_path / "bans.json", clock)
    command.put("a", None, "by hand")
    clock.now_s += 2
    assert gateway.left_s("a") is not None
    gateway.put("b", 60, "faults")
    assert command.lift("a") and not command.lift("a")
    clock.now_s += 2
    assert gateway.left_s("a") is None and gateway.left_s("b") is not None


def test_bans_are_bounded_and_those_that_end_first_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bans_module, "BANS_MAX", 2)
    bans = Bans(tmp_path / "bans.json", Clock())
    for name, for_s in (("for ever", None), ("short", 10), ("long", 1_000)):
        bans.put(name, for_s, "")
    assert set(bans.all()) == {"for ever", "long"}


def test_bans_that_cannot_be_read_are_told_at_the_start_and_kept_while_it_runs(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "bans.json"
    bans = Bans(path, clock)
    bans.put("a", None, "")
    path.write_text('{"a": 5}')
    os.utime(path, ns=(1, 1))
    clock.now_s += 2
    assert bans.left_s("a") is not None
    with pytest.raises(Faulty) as fault:
        Bans(path, clock)
    assert fault.value.code == "home_invalid"


@pytest.mark.parametrize(
    ("host", "name", "local"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "::/64", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("::ffff:192.0.2.7", "192.0.2.7", False),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", False),
        ("fe80::1%eth0", "fe80::/64", False),
        ("testclient", "unknown", False),
    ],
)
def test_an_address_is_counted_as(host: str, name: str, local: bool) -> None:
    peer = peer_of({"client": (host, 5)})
    assert (peer.name, peer.local, peer.certified) == (name, local, False)
    assert parse_peer(host) == (None if name == "unknown" else name)


def test_a_connection_without_an_address_is_nobody_and_not_local() -> None:
    peer = peer_of({"client": None})
    assert peer == Peer("unknown", None) and not peer.local
