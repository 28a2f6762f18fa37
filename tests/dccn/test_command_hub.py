"""`dccn hub images` and `dccn hub devices`: which boots are believed, and which machines showed one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from sqlalchemy import insert

from chain.lifeline import spawn, stop
from fleet.hub.store import open_store
from fleet.hub.store.tables import attestations, devices
from fleet.protocol.attestation import ATTESTED_FOR_MS
from tests.measured_boot import some_image

NOW_MS = 4_000_000_000_000
DEVICES = [bytes([number]) * 32 for number in range(3)]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Path]:
    """A running hub without a chain; three machines: believed, refused, without a TPM."""
    home = tmp_path / "hub"
    home.mkdir()
    store = open_store(home)
    with store.begin() as connection:
        for device in DEVICES:
            row = {"device": device, "topic_id": device.hex()[:32], "fleet": "home", "identity_key": b"k"}
            connection.execute(insert(devices).values(**row, enrolled_ms=device[0], enrolled_by="token"))
        row = {"at_ms": 1, "not_after_ms": NOW_MS + ATTESTED_FOR_MS, "image": "x 1", "secure_boot": True}
        connection.execute(insert(attestations).values(device=DEVICES[0], pcr7=b"7" * 32, **row))
        refused = {"at_ms": 1, "not_after_ms": 0, "code": "boot_unknown", "reason": "another command line"}
        connection.execute(insert(attestations).values(device=DEVICES[1], **refused))
    store.close()
    command = [sys.executable, "-m", "dccn", "hub", "run", "--home", home, "--node", "http://127.0.0.1:9", "--json"]
    process = spawn(command, stdout=PIPE)
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        yield home
    finally:
        stop(process, 10)


def test_the_running_hub_lists_levels_and_reasons(dccn: Any, hub: Path) -> None:
    listed = dccn("hub", "devices", "--home", str(hub), "--json").document["devices"]
    assert [line["evidence_level"] for line in listed] == [3, 0, 0]
    lines = dccn("hub", "devices", "--home", str(hub)).out.splitlines()
    assert "booted x 1, Secure Boot; TPM of an unproven manufacturer" in lines[0]
    assert lines[1].endswith("not believed: another command line")
    assert lines[2].endswith("no TPM vouches for it")
    topic = DEVICES[0].hex()[:32]
    assert dccn("hub", "devices", "--home", str(hub), "--trust-boot", topic, "--json").document["ok"]
    store = open_store(hub)
    with store.read() as connection:
        (pinned,) = connection.exec_driver_sql("SELECT pcr7 FROM attestations WHERE code IS NULL").one()
    store.close()
    assert pinned is None


def test_a_machine_that_never_proved_its_boot_has_no_pinned_state(dccn: Any, tmp_path: Path) -> None:
    result = dccn("hub", "devices", "--home", str(tmp_path), "--trust-boot", "00" * 16, "--json")
    assert (result.code, result.document["code"]) == (1, "device_unknown")


def test_a_hub_that_does_not_run_is_told(dccn: Any, tmp_path: Path) -> None:
    result = dccn("hub", "devices", "--home", str(tmp_path), "--json")
    assert (result.code, result.document["code"]) == (3, "unreachable")


def test_an_image_is_believed_by_the_file_beside_it_and_a_newer_one_replaces_it(dccn: Any, tmp_path: Path) -> None:
    image = some_image("qemu-test 1")
    beside = {"profile": "qemu-test", "sha256": "00", "measured": image.document()}
    (tmp_path / "image.json").write_text(json.dumps(beside))
    arguments = ("hub", "images", "--home", str(tmp_path / "hub"), "--json")
    assert dccn(*arguments).document["images"] == []
    for _ in range(2):
        listed = dccn(*arguments, "--add", str(tmp_path / "image.json")).document["images"]
        assert listed == [{"name": image.name, "pcr11": image.pcr11.hex()}]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "nothing", '{"measured": {}}', '{"measured": {"name": "../x", "pcr11": "00"}}', "[" * 100_000],
)
def test_a_file_that_describes_no_image_is_refused_and_nothing_is_written(dccn: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "image.json").write_text(text)
    result = dccn("hub", "images", "--home", str(tmp_path / "hub"), "--add", str(tmp_path / "image.json"), "--json")
    assert (result.code, result.document["code"]) == (2, "malformed")
    assert not (tmp_path / "hub").exists()


def test_a_name_never_leads_out_of_the_folder(dccn: Any, tmp_path: Path) -> None:
    image = some_image("../../out 1")
    (tmp_path / "image.json").write_text(json.dumps(image.document()))
    result = dccn("hub", "images", "--home", str(tmp_path / "hub"), "--add", str(tmp_path / "image.json"), "--json")
    assert result.document["images"][0]["name"] == image.name
    assert [path.name for path in (tmp_path / "hub/attestation/images").iterdir()] == ["..-..-out-1.json"]
