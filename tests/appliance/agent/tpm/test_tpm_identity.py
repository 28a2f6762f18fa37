"""The identity key in a TPM: the same for ever, never outside, never replaced unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.agent.identity import open_identity
from appliance.agent.tpm.measured_boot import pcr_digest
from appliance.agent.tpm.tools import Tpm
from chain.errors import Faulty
from chain.proofs.delegation import Delegation, open_delegation, sign_delegation
from tests import swtpm


def test_one_tpm_gives_one_device_on_every_disk_and_after_every_boot(state: Path, home: Path, tmp_path: Path) -> None:
    with swtpm.running(state) as tcti:
        first = open_identity(home / "identity.key", tcti)
    with swtpm.running(state) as tcti:
        same_disk = open_identity(home / "identity.key", tcti)
        new_disk = open_identity(tmp_path / "other.key", tcti)
    assert first.device == same_disk.device == new_disk.device
    assert first.tpm_key is not None
    assert "secret" not in json.loads((home / "identity.key").read_text())


def test_two_tpms_are_two_devices(tcti: str, home: Path, tmp_path: Path) -> None:
    other_state = swtpm.manufactured(tmp_path / "other")
    with swtpm.running(other_state) as other:
        assert open_identity(home / "a.key", tcti).device != open_identity(home / "b.key", other).device


def test_a_record_key_certified_by_the_tpm_is_certified_like_any_other(tcti: str, home: Path) -> None:
    identity = open_identity(home / "identity.key", tcti)
    for number in range(8):  # half of a TPM's signatures have a high s, which the ledger refuses
        delegation = Delegation(identity.device, bytes([number]) * 32, b"b" * 16, 1, 2, pcr_digest(Tpm(tcti)))
        signed = sign_delegation(delegation, identity.key, "chain-1")
        assert open_delegation(signed).check(identity.public, "chain-1") == delegation


def test_without_a_tpm_the_key_lies_in_a_file_and_the_reason_is_said(home: Path) -> None:
    identity = open_identity(home / "identity.key", "device:/dev/no-such-tpm")
    assert identity.tpm_key is None
    assert "no /dev/no-such-tpm" in identity.without_tpm
    assert open_identity(home / "identity.key", "device:/dev/no-such-tpm").device == identity.device


def test_without_the_tools_the_key_lies_in_a_file(
    tcti: str, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    identity = open_identity(home / "identity.key", tcti)
    assert (identity.tpm_key, identity.held_by) == (None, "a file")
    assert "tpm2-tools" in identity.without_tpm


def test_a_tpm_that_does_not_answer_at_the_first_start_leaves_the_key_in_a_file(home: Path) -> None:
    identity = open_identity(home / "identity.key", "swtpm:host=127.0.0.1,port=1")
    assert identity.tpm_key is None
    assert "refused createprimary" in identity.without_tpm


def test_a_tpm_that_appears_later_does_not_make_another_device(tcti: str, home: Path) -> None:
    before = open_identity(home / "identity.key", None)
    after = open_identity(home / "identity.key", tcti)
    assert (after.device, after.tpm_key) == (before.device, None)


def test_a_tpm_that_is_gone_stops_the_agent_instead_of_making_another_device(state: Path, home: Path) -> None:
    with swtpm.running(state) as tcti:
        open_identity(home / "identity.key", tcti)
    with pytest.raises(Faulty, match="tpm_failed"):
        open_identity(home / "identity.key", "device:/dev/no-such-tpm")
    with pytest.raises(Faulty, match="tpm_failed"):
        open_identity(home / "identity.key", tcti)


def test_a_cleared_tpm_is_told_apart_from_the_one_that_holds_the_identity(tcti: str, home: Path) -> None:
    open_identity(home / "identity.key", tcti)
    swtpm.clear(tcti)
    with pytest.raises(Faulty, match="another key than the identity"):
        open_identity(home / "identity.key", tcti)


@pytest.mark.parametrize("public", [None, "not hex", 7])
def test_a_damaged_file_is_refused_before_the_tpm_is_asked(home: Path, public: object) -> None:
    document = {"purpose": "device identity", "held_by": "tpm", "public": public}
    (home / "identity.key").write_text(json.dumps({name: value for name, value in document.items() if value}))
    with pytest.raises(Faulty):
        open_identity(home / "identity.key", "device:/dev/no-such-tpm")
