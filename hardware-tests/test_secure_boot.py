"""Secure Boot, where the model has it: on, with keys, and with a kernel that keeps itself to it."""

from __future__ import annotations

import pytest

from appliance.acceptance.probe import Probe

pytestmark = [pytest.mark.needs_efi, pytest.mark.needs_secure_boot]
ON = b"\x01"


def test_the_firmware_enforces_it(probe: Probe, measured) -> None:
    state = probe.efi_variable("SecureBoot")
    measured("on", state == ON)
    if state != ON and not (probe.profile is not None and probe.profile.secure_boot):
        pytest.skip("Secure Boot is off, and no profile asks for it")
    assert state == ON, "Secure Boot is off"


def test_nobody_can_enrol_other_keys(probe: Probe) -> None:
    if probe.efi_variable("SecureBoot") != ON:
        pytest.skip("Secure Boot is off")
    assert probe.efi_variable("SetupMode") != ON, "the firmware is in setup mode: whoever comes first sets the keys"


def test_the_kernel_locks_itself_down(probe: Probe) -> None:
    if probe.efi_variable("SecureBoot") != ON:
        pytest.skip("Secure Boot is off")
    said = probe.machine.text("sys/kernel/security/lockdown")
    if said is None:
        pytest.skip("securityfs is not there to ask")
    assert "[none]" not in said
