"""Joining a fleet: whom the device believes, what it sends to whom, and what it keeps."""

from __future__ import annotations

import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from small_hub import SmallHub

from appliance.agent.answer import load_enrolment
from appliance.agent.certificates import CertificateStore
from appliance.agent.clock import HubClock
from appliance.agent.enrolment import Renewal, enrol
from appliance.agent.identity import open_identity
from appliance.agent.settings import Settings
from chain.crypto.keys import PrivateKey
from chain.errors import DccnError, Malformed, Refused, Unavailable
from fleet.protocol.enrolment import Token


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


def join(settings: Settings, hub: SmallHub, events: object, clock: HubClock | None = None) -> object:
    return enrol(settings, hub.url, hub.token.text, emit=events, clock=clock or HubClock())


def test_a_token_makes_this_machine_a_member(settings: Settings, hub: SmallHub, events) -> None:
    joined = join(settings, hub, events)
    identity = open_identity(settings.identity_file)
    assert list(hub.devices) == [identity.device]
    assert load_enrolment(settings.enrolment_file) == joined
    assert [fields["device"] for fields in events.named("enrolled")] == [identity.topic_id]


def test_every_private_key_is_a_file_of_mode_0600(settings: Settings, hub: SmallHub, events) -> None:
    join(settings, hub, events)
    for path in (settings.identity_file, CertificateStore(settings.tls_folder).file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_tls_key_is_not_the_identity_key(settings: Settings, hub: SmallHub, events) -> None:
    join(settings, hub, events)
    data = CertificateStore(settings.tls_folder).file.read_bytes()
    numbers = x509.load_pem_x509_certificate(data).public_key().public_numbers()
    assert numbers.x.to_bytes(32, "big") != open_identity(settings.identity_file).public.x


def test_a_hub_with_another_ca_never_sees_the_secret(settings: Settings, hub: SmallHub, events) -> None:
    other = Token(b"x" * 16, b"secret of sixteen"[:16])
    with pytest.raises(Refused) as refusal:
        enrol(settings, hub.url, other.text, emit=events)
    assert refusal.value.code == "ca_mismatch"
    assert hub.seen == [] and hub.secrets_seen == []
    assert load_enrolment(settings.enrolment_file) is None


def test_a_used_up_token_is_refused_with_the_hubs_reason(settings: Settings, hub: SmallHub, events) -> None:
    with pytest.raises(Refused) as refusal:
        enrol(settings, hub.url, replace(hub.token, secret=b"y" * 16).text, emit=events)
    assert refusal.value.code == "token_invalid"


def test_without_token_and_pin_an_unknown_ca_is_not_trusted(settings: Settings, hub: SmallHub, events) -> None:
    with pytest.raises(Refused) as refusal:
        enrol(settings, hub.url, None, emit=events)
    assert refusal.value.code == "ca_mismatch" and hub.seen == []


def test_a_claim_code_is_shown_and_awaited(settings: Settings, hub: SmallHub, events, monkeypatch) -> None:
    monkeypatch.setattr("appliance.agent.enrolment.CLAIM_POLL_S", 0.01)
    pinned = replace(settings, ca_pin=hub.token.pin.hex())
    shown = threading.Event()

    def emit(event: str, /, **fields: object) -> None:
        events(event, **fields)
        if event == "claim_code":
            shown.set()

    thread = threading.Thread(target=lambda: enrol(pinned, hub.url, None, emit=emit))
    thread.start()
    assert shown.wait(5)
    while hub.seen.count("/v1/enrol") < 2:  # it asked, was told to wait, and asked again
        assert thread.is_alive()
        threading.Event().wait(0.005)
    assert load_enrolment(settings.enrolment_file) is None
    hub.claim_approved = True
    thread.join(5)
    assert events.named("claim_code")[0]["code"] == "ABCD-EFGH"
    assert load_enrolment(settings.enrolment_file) is not None


def test_waiting_for_a_claim_can_be_stopped(settings: Settings, hub: SmallHub, events) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Unavailable):
        enrol(replace(settings, trust_first_use=True), hub.url, None, emit=events, stop=stop)


def test_an_answer_under_a_foreign_fleet_root_is_refused(settings: Settings, hub: SmallHub, events) -> None:
    hub.root_of_answers = PrivateKey.generate("ed25519")
    with pytest.raises(Refused) as refusal:
        join(settings, hub, events)
    assert refusal.value.code == "bad_signature"
    assert load_enrolment(settings.enrolment_file) is None


def test_a_certificate_for_another_name_is_refused(settings: Settings, hub: SmallHub, events) -> None:
    hub.certificate_for = b"f" * 32
    with pytest.raises(Refused) as refusal:
        join(settings, hub, events)
    assert refusal.value.code == "ca_mismatch"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:8443", "https://", "https://hub/path", "https://h:x"])
def test_an_address_that_is_none_is_wrong_usage(settings: Settings, url: str, events) -> None:
    with pytest.raises(Malformed) as refusal:
        enrol(settings, url, None, emit=events)
    assert refusal.value.code == "usage" and refusal.value.exit_code == 2


def test_a_hub_that_is_not_there_is_unreachable(settings: Settings, hub: SmallHub, events) -> None:
    with pytest.raises(Unavailable) as refusal:
        enrol(settings, "https://127.0.0.1:1", hub.token.text, emit=events)
    assert refusal.value.exit_code == 3


# Renewal -------------------------------------------------------------------------------------------------------------


def renewal(settings: Settings, clock: HubClock, events) -> Renewal:
    return Renewal(settings, open_identity(settings.identity_file), clock, events, lambda _fresh: None)


def test_a_certificate_is_renewed_at_half_life_and_after_its_end(settings: Settings, hub: SmallHub, events) -> None:
    join(settings, hub, events)
    store = CertificateStore(settings.tls_folder)
    first, before = store.validity(), store.file.read_bytes()
    assert first is not None
    fresh = renewal(settings, HubClock(wall_ms=lambda: first.half_life_ms - 60_000), events)
    half = renewal(settings, HubClock(wall_ms=lambda: first.half_life_ms + 1), events)
    week_late = renewal(settings, HubClock(wall_ms=lambda: first.not_after_ms + 7 * 86_400_000), events)
    assert (fresh.is_due(), half.is_due(), week_late.is_due()) == (False, True, True)
    hub.offset_ms = 8 * 86_400_000  # the device was off for a week, and the hub's time went on
    week_late.renew()
    renewed = store.validity()
    assert renewed is not None and renewed.not_after_ms > hub.now_ms()
    assert store.file.read_bytes() != before


def test_a_lost_tls_key_is_made_again(settings: Settings, hub: SmallHub, events) -> None:
    join(settings, hub, events)
    store = CertificateStore(settings.tls_folder)
    store.file.unlink()
    again = renewal(settings, HubClock(), events)
    assert again.is_due()
    again.renew()
    assert store.validity() is not None


def test_a_renewal_under_another_fleet_root_is_refused(settings: Settings, hub: SmallHub, events) -> None:
    join(settings, hub, events)
    before = settings.enrolment_file.read_bytes()
    hub.root_of_answers = PrivateKey.generate("ed25519")
    with pytest.raises(DccnError) as refusal:
        renewal(settings, HubClock(), events).renew()
    assert refusal.value.code == "command_invalid"
    assert settings.enrolment_file.read_bytes() == before


def test_a_damaged_enrolment_is_named_and_not_guessed(settings: Settings, hub: SmallHub, events) -> None:
    join(settings, hub, events)
    settings.enrolment_file.write_text('{"hub_url": "https://x"}')
    with pytest.raises(DccnError) as fault:
        load_enrolment(settings.enrolment_file)
    assert fault.value.code == "home_invalid" and "enrol again" in fault.value.message


# Time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [1, -1, 24 * 365 * 20])
def test_a_clock_that_is_off_is_reported_and_corrected(settings: Settings, hub: SmallHub, events, hours: int) -> None:
    hub.offset_ms = 0
    clock = HubClock(settings.clock_file, wall_ms=lambda: hub.now_ms() - hours * 3_600_000)
    join(settings, hub, events, clock)
    assert clock.is_off and abs(clock.now_ms() - hub.now_ms()) < 2_000
    assert round(events.named("clock_off")[0]["offset_s"] / 3600) == hours  # type: ignore[arg-type]
    assert abs(HubClock(settings.clock_file, wall_ms=lambda: 0).offset_ms - hours * 3_600_000) < 2_000


def test_a_clock_that_is_right_is_left_alone(settings: Settings, hub: SmallHub, events) -> None:
    clock = HubClock(settings.clock_file)
    join(settings, hub, events, clock)
    assert clock.offset_ms == 0 and events.named("clock_off") == []
