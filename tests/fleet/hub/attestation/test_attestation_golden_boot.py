"""A boot that really happened: what firmware, boot loader and stub measured, against what the builder predicted."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from fleet.hub.attestation import event_log
from fleet.protocol.measured_image import MeasuredImage

DATA = Path(__file__).parents[3] / "data/measured-boot.json"
FROM_FIRMWARE = (0, 1, 2, 3, 4, 5, 6, 7, 11, 12)


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DATA.read_text())
    return document


@pytest.fixture(scope="module")
def events(recorded: dict[str, Any]) -> list[event_log.Event]:
    return event_log.parse(base64.b64decode(recorded["event_log"]))


@pytest.mark.parametrize("pcr", FROM_FIRMWARE)
def test_the_log_leads_to_the_register_that_the_tpm_had(recorded, events, pcr: int) -> None:
    assert event_log.replay(events, pcr).hex() == recorded["registers"][str(pcr)]


def test_the_builders_prediction_is_what_the_stub_measured(recorded, events) -> None:
    image = MeasuredImage.from_document(recorded["measured"])
    assert image.pcr11.hex() == recorded["registers"]["11"]
    started = [each.digest for each in events if each.kind == event_log.BOOT_SERVICES_APPLICATION]
    assert started == [image.applications[name] for name in ("boot_loader", "kernel_image", "kernel")]
    lines = [each for each in events if each.pcr == 12]
    assert [each.digest for each in lines] == [image.command_line_digest] * 2, "boot loader and stub measure it"
    assert all(each.is_of_its_data for each in lines)


def test_the_log_says_that_secure_boot_was_off(events) -> None:
    assert not event_log.secure_boot(events)
