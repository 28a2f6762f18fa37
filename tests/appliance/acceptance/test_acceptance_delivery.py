"""The report of hardware tests on its way to the hub: read strictly, signed, noted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest

from appliance.acceptance.delivery import deliver
from appliance.acceptance.report import FORMAT, Document, Measured, acceptance, load, write
from appliance.agent.settings import Settings
from chain.errors import Faulty, Malformed
from dccn.demo.network import Network, Places

DOCUMENT = Document(
    format=FORMAT,
    profile="rig-4090x2",
    level="quick",
    started_ms=1_800_000_000_000,
    ended_ms=1_800_000_045_000,
    machine={"processor": "AMD Ryzen 9 7950X"},
    results=[
        Measured(test="test_work.test_a_challenge", outcome="passed", milliseconds=7, values={"rows": "12"}),
        Measured(test="test_tpm.test_it", outcome="skipped", said="there is no TPM " + "x" * 400),
    ],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "r.json", DOCUMENT)
    return tmp_path / "r.json"


def test_a_report_is_read_as_it_was_written_and_signed_in_bounds(path: Path) -> None:
    assert load(path) == DOCUMENT
    signed = acceptance(DOCUMENT, b"d" * 32, b"n" * 16)
    assert [(each.test, each.outcome) for each in signed.results] == [
        ("test_work.test_a_challenge", "passed"), ("test_tpm.test_it", "skipped")]  # fmt: skip
    assert type(signed).from_body(signed.body()) == signed


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 50_000, b'{"format": 1}', b"null"])
def test_what_is_no_report_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Malformed):
        load(path)


def test_a_report_of_another_format_and_one_that_is_not_there_are_refused(path: Path, tmp_path: Path) -> None:
    write(path, msgspec.structs.replace(DOCUMENT, format=2))
    with pytest.raises(Malformed, match="format 2"):
        load(path)
    with pytest.raises(Malformed, match="there is no report"):
        load(tmp_path / "nowhere.json")


def test_who_is_not_enrolled_brings_nothing(path: Path, tmp_path: Path) -> None:
    with pytest.raises(Faulty) as refused:
        deliver(Settings(home=tmp_path / "home"), path)
    assert refused.value.code == "home_invalid" and "not enrolled" in refused.value.message


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(Places(tmp_path / "network"), "127.0.0.1")
    try:
        network.start()
        yield network
    finally:
        network.stop()


@pytest.mark.slow
def test_an_enrolled_machine_brings_its_report_to_a_real_hub(network: Network, path: Path) -> None:
    while True:
        told: dict[str, Any] = network.children.events.get(timeout=60)
        if told.get("event") == "connected" and told.get("part") == "agent":
            break
    noted = deliver(Settings(home=network.places.agent), path)
    assert noted == {"is_passed": True, "passed": 1, "failed": 0, "skipped": 1}
    with urlopen(f"{network.page_url.rstrip('/')}/api/overview", timeout=10) as answer:
        (device,) = json.load(answer)["devices"]
    assert device["acceptance"]["profile"] == "rig-4090x2" and device["acceptance"]["is_passed"]
