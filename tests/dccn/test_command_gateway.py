"""`dccn gateway run` as an operator starts it: a process with a port, ended by a signal, or a sentence if it cannot."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import urllib3

from fleet.hub.identity.authority import Authority
from tests.chain.node.conftest import CHAIN_ID, NodeUnderTest, node
from tests.dccn.conftest import Dccn

__all__ = ["node"]


def start(node: NodeUnderTest, home: Path, port: int, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dccn", "gateway", "run", "--rpc", node.url, "--home", str(home)]
    return subprocess.Popen(
        [*command, "--port", str(port), "--json", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_it_serves_until_it_is_told_to_stop_and_remembers_what_it_trusted(node: NodeUnderTest, tmp_path: Path) -> None:
    for first in (True, False):
        process = start(node, tmp_path, 0)
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        status = urllib3.request("GET", f"{ready['url']}/v1/status", timeout=30).json()
        assert status["chain_id"] == CHAIN_ID and status["verified_height"] > 0
        assert ("own word" in status["trusted"]) is first and ("verified here before" in status["trusted"]) is not first
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0 and "Traceback" not in said


def test_a_port_that_is_taken_is_one_sentence(node: NodeUnderTest, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(node, tmp_path, taken.getsockname()[1])
        out, said = process.communicate(timeout=30)
    assert process.returncode == 1 and json.loads(out)["code"] == "port_occupied"
    assert said.count("\n") == 1 and "Traceback" not in said


def test_a_hubs_device_connects_with_tls(node: NodeUnderTest, tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "hub", "home", time.time_ns() // 10**6)
    process = start(
        node, tmp_path / "gateway", 0, "--tls", "127.0.0.1", "--tls-port", "0", "--hub-home", str(tmp_path / "hub")
    )
    assert process.stdout is not None
    url = json.loads(process.stdout.readline())["tls_url"]
    context = ssl.create_default_context(cadata=authority.pem.decode())
    with urllib3.PoolManager(ssl_context=context) as pool:
        assert pool.request("GET", f"{url}/v1/status", timeout=30).json()["chain_id"] == CHAIN_ID
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0 and said.count("\n") == 1 and "first contact with node-test" in said


def test_without_a_hub_or_with_broken_files_tls_is_one_sentence(dccn: Dccn, tmp_path: Path) -> None:
    run = ("gateway", "run", "--home", str(tmp_path), "--port", "0", "--tls", "127.0.0.1", "--json")
    assert dccn(*run, "--hub-home", str(tmp_path / "nobody")).document["code"] == "usage"
    assert not (tmp_path / "nobody").exists(), "a gateway makes no authority"
    for name in ("gw.pem", "gw.key", "ca.pem"):
        (tmp_path / name).write_text("nothing")
    files = [str(tmp_path / name) for name in ("gw.pem", "gw.key", "ca.pem")]
    assert dccn(*run, "--tls-port", "0", "--certificate", *files).document["code"] == "home_invalid"


def test_peers_are_banned_shown_and_let_in_again(dccn: Dccn, tmp_path: Path) -> None:
    home = ("--home", str(tmp_path), "--json")
    device = "ab" * 32
    (tmp_path / "deny.txt").write_text("192.0.2.0/24  # scans\n")
    assert dccn("gateway", "ban", device.upper(), "--for", "60", "--why", "a test", *home).document["peer"] == device
    assert dccn("gateway", "ban", "2001:db8::5", *home).document["peer"] == "2001:db8::/64"
    shown = dccn("gateway", "peers", *home).document
    assert (shown["allow"], shown["deny"]) == ([], ["192.0.2.0/24"])
    by_name = {each["peer"]: each for each in shown["banned"]}
    assert by_name[device]["why"] == "a test" and 0 < by_name[device]["left_s"] <= 60
    assert by_name["2001:db8::/64"]["left_s"] is None
    assert dccn("gateway", "unban", device, *home).code == 0
    again = dccn("gateway", "unban", device, *home)
    assert (again.code, again.document["code"]) == (1, "not_found")
    assert dccn("gateway", "ban", "somebody", *home).code == 2
    assert "for ever" in dccn("gateway", "peers", "--home", str(tmp_path)).out
