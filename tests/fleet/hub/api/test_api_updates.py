"""Releases from the hub: whole files and parts of them, nothing outside the folder; and the word that there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.hub.actions.enrolment import do_create_token
from fleet.hub.actions.events import UpdateAnnounced
from fleet.protocol.enrolment import ENROL_TAG
from tests.fleet.hub.api.test_api_devices import enrolment

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "releases"
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata/timestamp.json").write_bytes(CONTENT)
    (tmp_path / "secret.key").write_text("no")
    (folder / "link").symlink_to(tmp_path / "secret.key")
    (folder / "linked").symlink_to(tmp_path)
    return folder


@pytest.mark.usefixtures("folder")
@given(first=st.integers(0, len(CONTENT) - 1), length=st.integers(1, 2 * len(CONTENT)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_any_part_of_a_file_is_the_part_that_was_asked_for(devices: Any, first: int, length: int) -> None:
    asked = {"Range": f"bytes={first}-{first + length - 1}"}
    answer = devices.get("/releases/metadata/timestamp.json", headers=asked)
    assert answer.status_code == 206 and answer.content == CONTENT[first : first + length]
    last = first + len(answer.content) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"


def test_a_whole_file_comes_whole_and_says_that_parts_can_be_had(devices: Any, folder: Path) -> None:
    for odd in (None, "bytes=", "bytes=5-2-", "lines=1-2", "bytes=1-2,5-9"):
        answer = devices.get("/releases/metadata/timestamp.json", headers={"Range": odd} if odd else {})
        assert (answer.status_code, answer.content) == (200, CONTENT)
        assert answer.headers["accept-ranges"] == "bytes"
    tail = devices.get("/releases/metadata/timestamp.json", headers={"Range": "bytes=100000-"})
    assert (tail.status_code, tail.content) == (206, CONTENT[100000:])


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "path",
    [
        "none", "metadata", "metadata/", "metadata/none.json", "link", "linked/secret.key", "../secret.key",
        "%2e%2e/secret.key", "metadata/%2e%2e/%2e%2e/secret.key", "..%2fsecret.key", "%00", "a%00b",
        "/etc/passwd", "metadata/timestamp.json/x", "x" * 3000, "é", "%ff%fe",
    ],
)  # fmt: skip
def test_nothing_but_files_of_the_folder_is_given_out(devices: Any, path: str) -> None:
    answer = devices.get(f"/releases/{path}")
    assert answer.status_code == 404 and answer.json()["code"] == "not_found"


def test_a_range_outside_the_file_is_refused_and_a_hub_without_releases_has_none(devices: Any, folder: Path) -> None:
    beyond = devices.get("/releases/metadata/timestamp.json", headers={"Range": f"bytes={len(CONTENT)}-{len(CONTENT)}"})
    assert beyond.status_code == 404
    reversed_range = devices.get("/releases/metadata/timestamp.json", headers={"Range": "bytes=9-3"})
    assert reversed_range.status_code == 404
    folder.rename(folder.parent / "elsewhere")
    assert devices.get("/releases/metadata/timestamp.json").status_code == 404


def test_an_admin_asks_machines_to_look_for_a_release(
    hub: Any, page: Any, admin: dict[str, str], device: Any, desk: Any, identity: Any, published: list[Any]
) -> None:
    secret = do_create_token(desk, identity)[0].secret
    assert device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG).status_code == 200
    overview = page.get("/api/overview").json()["devices"]
    topic = overview[0]["device"]
    for wanted in (None, [topic]):
        asked = page.post("/api/updates", json={"devices": wanted}, headers=admin)
        assert (asked.status_code, asked.json()) == (200, {"devices": [topic]})
    assert [(leaf, kind, body) for leaf, _, kind, body in hub.commands.sent] == [("cmd/update", "update", [])] * 2
    assert [event.devices for event in published if isinstance(event, UpdateAnnounced)] == [1, 1]
    hub.commands.deaf.add(hub.commands.sent[0][1])
    assert page.post("/api/updates", json={}, headers=admin).json() == {"devices": []}


def test_only_an_admin_does_and_only_machines_that_are_enrolled_are_asked(hub: Any, page: Any, admin: Any) -> None:
    assert page.post("/api/updates", json={}).status_code == 401
    unknown = page.post("/api/updates", json={"devices": ["0" * 32]}, headers=admin)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "device_unknown")
    assert page.post("/api/updates", json={"devices": 7}, headers=admin).status_code == 400
    assert hub.commands.sent == []
