"""What the console's panels say: pure text, harmless and bounded whatever the facts hold."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.console import machine, panels
from appliance.console.facts import Facts
from appliance.console.machine import Link, Machine
from appliance.console.panels import Look

GIB = 1 << 30
MACHINE = Machine(
    uptime_s=90_061,
    load=0.4,
    cores=4,
    memory_bytes=8 * GIB,
    memory_free_bytes=6 * GIB,
    data_bytes=100 * GIB,
    data_free_bytes=90 * GIB,
    hottest_c=51.0,
    links=(Link("eth0", True, 1000, ("192.168.1.5/24",), fixed=False), Link("eth1", False, None, (), fixed=False)),
    gateway="192.168.1.1",
    dns=("192.168.1.1",),
)


def seen(status: dict[str, Any] | None = None, claim: dict[str, Any] | None = None) -> Look:
    return Look(Facts("dccn-1", "7", ("192.168.1.5",), status or {}, claim or {}), MACHINE)


def test_health_tells_the_hub_the_hardware_and_what_is_wrong() -> None:
    told = panels.health(
        seen({"hub_url": "https://hub", "connected": False, "problem": "no answer", "clock_offset_ms": -2500})
    )
    for line in (
        "hub                 https://hub does not answer",
        "problem             no answer",
        "clock               -2.5 s against the hub's",
        "memory              6.0 GiB free of 8.0 GiB",
        "data disk           90.0 GiB free of 100.0 GiB",
        "temperature         51 °C at the hottest place",
        "running for         1 d 1 h 1 min",
    ):
        assert line in told.splitlines()
    assert "records" not in told


def test_health_tells_what_the_doctor_the_updater_and_the_boot_found() -> None:
    told = panels.health(
        seen(
            {
                "slot": "b",
                "update": {"state": "waiting", "reason": "for the window"},
                "given_up": {"version": "9", "reason": "no agent"},
            }
        )
    ).splitlines()
    assert "update              waiting: for the window" in told and "slot                b" in told
    assert "given up            version 9: no agent" in told


def test_earnings_are_told_with_the_account_that_they_go_to() -> None:
    told = panels.earnings(seen({"balance": "12.5", "owner": "ankr1abc", "accepted_seq": 7}))
    assert told.splitlines() == [
        "balance             12.5 ANKR",
        "paid to             ankr1abc",
        "accepted records    7",
    ]
    assert "Nothing yet" in panels.earnings(seen())


def test_the_claim_panel_has_the_code_until_there_is_an_owner() -> None:
    waiting = {"enrolled": False, "hub_url": "https://hub"}
    assert "N  7  D  K" in panels.claim(seen(waiting, {"code": "N7DK-5929"}))
    assert panels.claim(seen({"enrolled": True, "fleet": "home"}, {"code": "N7DK-5929"})).startswith("This machine has")
    assert "no code" in panels.claim(seen(waiting))


def test_the_code_fits_a_terminal_of_24_lines_beside_everything_else() -> None:
    told = panels.claim(seen({"enrolled": False, "hub_url": "https://hub"}, {"code": "N7DK-5929"}))
    assert len(told.splitlines()) <= 15


def test_the_network_panel_has_links_addresses_and_where_they_come_from() -> None:
    told = panels.network(seen())
    assert "eth0                connected, 1000 Mbit/s" in told and "192.168.1.5/24 by DHCP" in told
    assert "eth1                no link" in told and "gateway             192.168.1.1" in told


def test_logs_cannot_steer_the_terminal() -> None:
    assert panels.logs(["a\x1b[2Jb", "c\x9b31md", "e\u202ef", "g\u0000h"]) == "a?[2Jb\nc?31md\ne?f\ng?h"
    assert panels.logs([]) == "There are none yet."


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60)
FIELDS = (
    "problem",
    "hub_url",
    "device",
    "owner",
    "fleet",
    "balance",
    "spool_records",
    "spool_state",
    "clock_offset_ms",
)


@given(
    st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), values),
    st.dictionaries(st.sampled_from(("code", "hub_url")), values),
)
def test_no_status_breaks_a_panel_or_gets_through_it(status: dict[str, Any], claim: dict[str, Any]) -> None:
    look = seen(status, claim)
    for told in (panels.headline(look), *(say(look) for _, say in panels.PANELS)):
        assert all(character.isprintable() or character == "\n" for character in told)


def test_this_machine_can_be_looked_at() -> None:
    found = machine.look()
    assert found.cores > 0 and 0 < found.memory_free_bytes <= found.memory_bytes
    assert all("/" in address for link in found.links for address in link.addresses)


@pytest.mark.parametrize(
    ("route", "gateway"),
    [
        ("Iface Destination Gateway\neth0\t00000000\t0101A8C0\t0003\n", "192.168.1.1"),
        ("Iface Destination Gateway\neth0\t0001A8C0\t00000000\t0001\n", None),
        ("Iface\neth0\t00000000\tnonsense\n", None),
        ("", None),
    ],
)
def test_the_gateway_is_read_from_the_kernels_table(tmp_path: Path, route: str, gateway: str | None) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text(route)
    assert machine.look(tmp_path).gateway == gateway


def test_a_fixed_address_is_told_from_one_by_dhcp(tmp_path: Path) -> None:
    name = next(link.name for link in machine.look().links)
    links, networks = tmp_path / "run/systemd/netif/links", tmp_path / "run/systemd/network"
    links.mkdir(parents=True)
    networks.mkdir()
    state = links / str(socket.if_nametoindex(name))
    state.write_text("ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-dccn.network\n")
    chosen = networks / "10-dccn.network"
    for text, fixed in (("[Network]\nAddress=192.168.1.5/24\n", True), ("[Network]\nDHCP=yes\n", False)):
        chosen.write_text(text)
        assert next(link.fixed for link in machine.look(tmp_path).links if link.name == name) is fixed
