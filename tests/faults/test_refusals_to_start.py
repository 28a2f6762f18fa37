"""What cannot start says why in one sentence on stderr, with the documented exit code, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from whole_network import choose_ports
from whole_processes import Command, free_ports, running_in

from dccn.demo.network import Places, prepare

HIDDEN = """
import sys
if "hub" in sys.orig_argv:
    import fleet.hub.broker.supervisor
    fleet.hub.broker.supervisor._SYSTEM_FOLDERS = ()
"""
FAILED, MISUSED, UNREACHABLE = 1, 2, 3


def refused(command: Command, code: int, *words: str) -> str:
    """The one sentence that a command ended with."""
    with command:
        assert command.ended() == code, command.stderr
        sentences = [line for line in command.stderr.splitlines() if line.startswith("dccn: ")]
        assert len(sentences) == 1, command.stderr
        assert "Traceback" not in command.stderr and "unforeseen" not in command.stderr
        assert all(word in sentences[0] for word in words), sentences[0]
        return sentences[0]


@pytest.fixture
def places(home: Path) -> Places:
    """A home with a node's genesis and a hub's keys in it, and ports of its own."""
    chosen = Places(home)
    choose_ports(chosen, free_ports(4))
    return chosen


@pytest.fixture
def without_mosquitto(tmp_path: Path) -> dict[str, str]:
    """A PATH that has the other programs; and the hub does not look into the system's folders either."""
    for name in ("setpriv", "sh"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(found)
    (tmp_path / "sitecustomize.py").write_text(HIDDEN)
    return {"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(tmp_path)}


# --- Engines and ports ----------------------------------------------------------------------------


def test_a_hub_without_mosquitto(places: Places, without_mosquitto: dict[str, str]) -> None:
    hub = Command("hub", "run", "--home", places.hub, environment=without_mosquitto)
    refused(hub, UNREACHABLE, "engine_missing", "mosquitto", "apt-get install mosquitto")
    assert not running_in(places.home)


def test_a_demo_without_mosquitto_says_what_its_hub_says(places: Places, without_mosquitto: dict[str, str]) -> None:
    demo = Command("demo", "--home", places.home, environment=without_mosquitto)
    refused(demo, UNREACHABLE, "engine_missing", "starting hub", "apt-get install mosquitto")
    assert not running_in(places.home)


@pytest.mark.parametrize("option", ["--page-port", "--device-port", "--mqtt-port"])
def test_a_hub_whose_port_is_taken(places: Places, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        hub = Command("hub", "run", "--home", places.hub, option, port)
        refused(hub, FAILED, "port_occupied", port, "another program listens there")
    assert not running_in(places.home)


def test_a_node_whose_port_was_taken_keeps_the_one_it_moved_to(home: Path) -> None:
    """Hub and devices know it by then; a node that moves on at every start would be lost to them."""
    places = Places(home)
    with socket.create_server(("127.0.0.1", 0)) as other:
        prepare(places)
        settings = places.node / "config" / "config.toml"
        settings.write_text(settings.read_text().replace("port = 26657", f"port = {other.getsockname()[1]}"))
        with Command("node", "run", "--home", places.node, "--json") as node:
            moved = node.named("ready")["rpc"]
    with Command("node", "run", "--home", places.node, "--json") as node:
        assert node.named("ready")["rpc"] == moved


# --- Homes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["demo", "node", "hub", "agent"])
@pytest.mark.parametrize("where", ["a file", "nowhere"])
def test_a_home_that_cannot_be_one(tmp_path: Path, part: str, where: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    home = tmp_path / "file" if where == "a file" else Path("/proc/dccn/home")
    words = (part,) if part == "demo" else (part, "run")
    more = ("--hub", "https://127.0.0.1:1") if part == "agent" else ()
    refused(Command(*words, "--home", home, *more), FAILED, "home_invalid", str(home))


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write anywhere")
@pytest.mark.parametrize("part", ["demo", "node", "hub", "agent"])
def test_a_home_that_may_not_be_written(home: Path, tmp_path: Path, part: str) -> None:
    prepare(Places(home))
    own = home if part == "demo" else home / part
    own.mkdir(exist_ok=True)
    with read_only(home) as prepared:
        words = (part,) if part == "demo" else (part, "run")
        more = ("--hub", "https://127.0.0.1:1") if part == "agent" else ()
        refused(Command(*words, "--home", own, *more, prepare=prepared), FAILED, "home_invalid", str(own))


@contextmanager
def read_only(home: Path) -> Iterator[str]:
    """What makes a child see the home read-only: modes for users, for root the loss of its right to ignore them."""
    modes = {path: path.stat().st_mode for path in (home, *home.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & 0o7555)
    try:
        yield _WITHOUT_OVERRIDE if os.geteuid() == 0 else "pass"
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


_WITHOUT_OVERRIDE = f"""
import ctypes, os, sys
if not os.environ.get("DCCN_TEST_LESS"):
    words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--", {sys.executable!r}]
    os.execvpe("setpriv", words + sys.orig_argv[1:], {{**os.environ, "DCCN_TEST_LESS": "1"}})
"""

Damage = Callable[[Places], Path]


def hub_database(places: Places) -> Path:
    path = places.hub / "hub.sqlite"
    path.write_bytes(b"no database" * 1_000)
    return path


def hub_key(places: Places) -> Path:
    path = places.hub / "identity" / "command.key"
    path.write_bytes(b"no key\n")
    return path


def node_genesis(places: Places) -> Path:
    path = places.node / "config" / "genesis.json"
    path.write_text(path.read_text()[:-100])
    return path


def node_settings(places: Places) -> Path:
    path = places.node / "config" / "config.toml"
    path.write_text("what?")
    return path


def node_key(places: Places) -> Path:
    path = places.node / "config" / "operators" / "seed-1" / "vrf_key.json"
    path.write_text("{}")
    return path.parent


def node_state(places: Places) -> Path:
    path = places.node / "data" / "state" / "data.mdb"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1_000)
    return path.parent


def agent_identity(places: Places) -> Path:
    places.agent.mkdir(mode=0o700)
    path = places.agent / "identity.key"
    path.write_text("{")
    path.chmod(0o600)
    return path


def agent_enrolment(places: Places) -> Path:
    places.agent.mkdir(mode=0o700)
    path = places.agent / "enrolment.json"
    path.write_text(json.dumps({"answer": "00"}))
    return path


@pytest.mark.parametrize(
    ("part", "damage", "code"),
    [
        ("hub", hub_database, FAILED),
        ("hub", hub_key, FAILED),
        ("node", node_genesis, FAILED),
        ("node", node_key, FAILED),
        ("node", node_state, FAILED),
        ("node", node_settings, MISUSED),
        ("agent", agent_identity, FAILED),
        ("agent", agent_enrolment, FAILED),
        ("demo", node_genesis, FAILED),
        ("demo", hub_key, FAILED),
        ("demo", node_settings, MISUSED),
    ],
)
def test_a_damaged_home(places: Places, part: str, damage: Damage, code: int) -> None:
    path = damage(places)
    words = ("demo", "--home", places.home) if part == "demo" else (part, "run", "--home", places.home / part)
    refused(Command(*words), code, str(path), "usage" if code == MISUSED else "")
    assert not running_in(places.home)
