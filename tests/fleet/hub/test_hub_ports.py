"""Which ports a hub takes: the usual or free ones at first, and for ever those that its devices know."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from chain.errors import Faulty
from fleet.hub.settings import Ports, Settings, listen


def opened(settings: Settings) -> Ports:
    ports, sockets = listen(settings)
    for sock in sockets.values():
        sock.close()
    return ports


def test_a_hub_comes_back_on_the_ports_that_its_devices_know(tmp_path: Path) -> None:
    assert opened(Settings(home=tmp_path)) == opened(Settings(home=tmp_path))


@pytest.mark.parametrize("name", ["devices", "broker"])
def test_a_port_that_devices_know_is_not_given_up_for_another(tmp_path: Path, name: str) -> None:
    port = getattr(opened(Settings(home=tmp_path)), name)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(Faulty, match="enrolled devices know") as refused:
        listen(Settings(home=tmp_path))
    assert refused.value.code == "port_occupied"
    assert getattr(opened(Settings(home=tmp_path)), name) == port


def test_the_page_may_move_because_only_people_look_for_it(tmp_path: Path) -> None:
    first = opened(Settings(home=tmp_path))
    with socket.create_server(("127.0.0.1", first.page)):
        moved = opened(Settings(home=tmp_path))
    assert moved.page != first.page and (moved.devices, moved.broker) == (first.devices, first.broker)
