"""Reports of hardware tests: taken from the device that signed them, shown to people, refused from anybody else."""

from __future__ import annotations

import base64

import pytest

from chain.crypto import address
from chain.crypto.keys import PrivateKey
from chain.wire import cose
from fleet.hub.actions.acceptances import KEPT
from fleet.hub.actions.enrolment import do_create_token
from fleet.protocol.acceptance import ACCEPTANCE_PATH, ACCEPTANCE_TAG, MAX_REPORT_BYTES, Acceptance, Result
from fleet.protocol.enrolment import ENROL_TAG, EnrolRequest
from tests.fleet.hub.api.conftest import Device

GOOD = Result("test_gpu.test_every_card_on_the_bus_answers", "passed", "", 12)
LEFT_OUT = Result("test_tpm.test_it_is_of_version_two", "skipped", "there is no TPM", 0)
BAD = Result("test_storage.test_no_nvme_disk_is_worn", "failed", "<b>nvme0n1</b> is 91 % worn", 40)


@pytest.fixture
def enrolled(device, desk, identity):
    token = do_create_token(desk, identity)[0].secret
    request = EnrolRequest(device.key.public, token, None, b"c" * 16, device.csr, device.nonce())
    assert device.post("/v1/enrol", request.body(), ENROL_TAG).status_code == 200
    return device


def report(device, *results, ended_ms=2_000, nonce=None, **changed):
    given = {
        "device": address.device_id(device.key.public),
        "profile": "rig-4090x2",
        "level": "quick",
        "started_ms": 1_000,
        "ended_ms": ended_ms,
        "results": results or (GOOD, LEFT_OUT),
        "nonce": device.nonce() if nonce is None else nonce,
    }
    return Acceptance(**{**given, **changed})


def bring(device, told, key=None):
    return device.post(ACCEPTANCE_PATH, told.body(), ACCEPTANCE_TAG, key)


def topic(device):
    return address.device_id(device.key.public).hex()[:32]


def test_a_signed_report_is_kept_and_shown_and_anybody_can_verify_it_again(enrolled, page):
    told = report(enrolled)
    answer = bring(enrolled, told)
    assert answer.status_code == 200
    assert answer.json() == {"is_passed": True, "passed": 1, "failed": 0, "skipped": 1}
    (line,) = page.get(f"/api/devices/{topic(enrolled)}/acceptances").json()
    assert (line["profile"], line["is_passed"]) == ("rig-4090x2", True)
    assert [each["outcome"] for each in line["results"]] == ["passed", "skipped"]
    envelope = cose.open_envelope(base64.b64decode(line["signed"]), MAX_REPORT_BYTES)
    assert envelope.verify(enrolled.key.public, ACCEPTANCE_TAG, "")
    assert Acceptance.from_body(envelope.body) == told
    html = page.get("/").text
    assert "Hardware tests" in html and "1 passed" in html


def test_the_newest_report_is_the_one_that_counts_and_old_ones_go(enrolled, page):
    for number in range(KEPT + 3):
        assert bring(enrolled, report(enrolled, ended_ms=2_000 + number)).status_code == 200
    assert bring(enrolled, report(enrolled, GOOD, BAD, ended_ms=9_000)).json()["is_passed"] is False
    lines = page.get(f"/api/devices/{topic(enrolled)}/acceptances").json()
    assert len(lines) == KEPT and lines[0]["ended_ms"] == 9_000
    shown = page.get("/api/overview").json()["devices"][0]["acceptance"]
    assert (shown["is_passed"], shown["failed"], shown["ended_ms"]) == (False, 1, 9_000)
    html = page.get("/").text
    assert "1 failed" in html and "<b>nvme0n1</b>" not in html


def test_a_report_of_another_device_under_ones_own_key_is_refused(enrolled, devices):
    stranger = Device(devices, seed=2)
    answer = bring(stranger, report(stranger))
    assert (answer.status_code, answer.json()["code"]) == (404, "device_unknown")
    answer = bring(stranger, report(enrolled))
    assert (answer.status_code, answer.json()["code"]) == (403, "bad_signature")
    answer = bring(enrolled, report(enrolled), key=PrivateKey.from_secret("p256", b"\7" * 32))
    assert answer.json()["code"] == "bad_signature"


def test_a_report_counts_once(enrolled, page):
    told = report(enrolled)
    assert bring(enrolled, told).status_code == 200
    again = bring(enrolled, told)
    assert again.status_code >= 400 and again.json()["code"] == "token_invalid"
    assert len(page.get(f"/api/devices/{topic(enrolled)}/acceptances").json()) == 1


@pytest.mark.parametrize("body", [b"", b"\x00", b"\xd2\x84", b"x" * 1_000, b"[" * 60_000])
def test_what_is_no_report_is_malformed(enrolled, body):
    answer = enrolled.send(ACCEPTANCE_PATH, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_a_report_that_is_too_large_is_refused_before_it_is_read(enrolled):
    assert enrolled.send(ACCEPTANCE_PATH, b"x" * (MAX_REPORT_BYTES + 1)).status_code == 413


def test_nobody_else_has_reports(page):
    answer = page.get(f"/api/devices/{'00' * 16}/acceptances")
    assert (answer.status_code, answer.json()["code"]) == (404, "device_unknown")
