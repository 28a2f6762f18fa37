"""The word after the wipe: an identity that outlived it in the TPM speaks once more, and nobody else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_hub import SmallHub

from appliance.agent.clock import HubClock
from appliance.agent.data_volume import DataVolume
from appliance.agent.decommission import Afterwards
from appliance.agent.hub_client import HubAddress, HubClient
from appliance.agent.identity import Identity, open_identity
from appliance.agent.tls import context_for
from appliance.reset.__main__ import report
from appliance.reset.wipe import Method, Wiped
from fleet.protocol.decommission import Phase, check_wipe, read_wipe
from tests.appliance.agent.conftest import Events

NONCE = bytes(range(16))
NEW_VOLUME = DataVolume(Method.keys_destroyed, b"w" * 16)
MARK = f"{NONCE.hex()} small-1\n".encode()


@pytest.fixture
def client(hub: SmallHub) -> Iterator[HubClient]:
    pem = hub.identity.authority.pem.decode()
    client = HubClient(HubAddress.parse(hub.url), context_for(pem), timeout_s=5, now_ms=lambda: None)
    yield client
    client.close()


def left_by_reset(folder: Path, mark: bytes) -> Path:
    """What a reset of a sealed volume leaves, as provisioning hands it to the agent."""
    path = folder / "wiped.json"
    path.write_bytes(report(Wiped(Method.keys_destroyed, 1 << 30, b"v" * 16), mark, 1))
    return path


def confirm(identity: Identity, client: HubClient, file: Path, events: Events) -> None:
    Afterwards(identity, client, HubClock(), events, file, lambda: NEW_VOLUME).confirm()


def test_the_next_boot_signs_over_the_new_volume_with_the_same_key(
    tcti: str, tmp_path: Path, home: Path, hub: SmallHub, client: HubClient, events: Events
) -> None:
    before = open_identity(home / "identity.key", tcti)
    after = open_identity(tmp_path / "wiped-home.key", tcti)
    confirm(after, client, left_by_reset(tmp_path, MARK), events)
    (raw,) = hub.wipes
    statement, envelope = read_wipe(raw)
    check_wipe(statement, envelope, before.public)
    assert (statement.phase, statement.nonce, statement.chain) == (Phase.after, NONCE, "small-1")
    assert (statement.method, statement.volume) == ("keys-destroyed", b"w" * 16)
    assert events.named("wipe_confirmed") == [{"method": "keys-destroyed"}]


def test_a_new_software_key_has_nothing_to_say(
    tmp_path: Path, home: Path, hub: SmallHub, client: HubClient, events: Events
) -> None:
    identity = open_identity(home / "identity.key", "device:/dev/no-such-tpm")
    confirm(identity, client, left_by_reset(tmp_path, MARK), events)
    assert hub.wipes == [] and events.seen == []


@pytest.mark.parametrize("mark", [b"by the helper\n", b"", b"please\n", b"zz small-1\n", b"\xff\xfe\n"])
def test_a_reset_that_no_hub_asked_for_is_told_to_none(
    tcti: str, tmp_path: Path, home: Path, hub: SmallHub, client: HubClient, events: Events, mark: bytes
) -> None:
    identity = open_identity(home / "identity.key", tcti)
    confirm(identity, client, left_by_reset(tmp_path, mark), events)
    assert hub.wipes == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", json.dumps({"asked": 7, "method": []}).encode()])
def test_a_damaged_report_stops_no_start(
    tcti: str, tmp_path: Path, home: Path, hub: SmallHub, client: HubClient, events: Events, content: bytes
) -> None:
    identity = open_identity(home / "identity.key", tcti)
    (tmp_path / "wiped.json").write_bytes(content)
    confirm(identity, client, tmp_path / "wiped.json", events)
    assert hub.wipes == []
