"""Bringing a report of hardware tests to the hub, signed by this device's identity key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.acceptance.report import acceptance, load
from appliance.agent.answer import load_enrolment
from appliance.agent.clock import HubClock
from appliance.agent.enrolment import hub_client_for
from appliance.agent.identity import open_identity
from appliance.agent.settings import Settings
from chain.errors import Faulty
from chain.wire import cose
from fleet.protocol.acceptance import ACCEPTANCE_PATH, ACCEPTANCE_TAG
from fleet.protocol.enrolment import COSE_MEDIA_TYPE, NO_CHAIN


def deliver(settings: Settings, path: Path) -> dict[str, Any]:
    """Sign the report in `path` and give it to the hub of this home; returns how the hub read it.

    Raises Malformed for a file that is no report, Faulty `home_invalid` where nobody is enrolled, Unavailable
    `unreachable`, and what the hub refuses.
    """
    document = load(path)
    enrolment = load_enrolment(settings.enrolment_file)
    if enrolment is None:
        raise Faulty("home_invalid", f"{settings.home} is not enrolled, so no hub would know who brings {path}")
    identity = open_identity(settings.identity_file, settings.tpm)
    hub = hub_client_for(enrolment, settings, HubClock(settings.clock_file))
    try:
        report = acceptance(document, identity.device, hub.nonce())
        signed = cose.sign(identity.key, identity.kid, report.body(), ACCEPTANCE_TAG, NO_CHAIN)
        return hub.post_json_answer(ACCEPTANCE_PATH, signed, COSE_MEDIA_TYPE)
    finally:
        hub.close()
