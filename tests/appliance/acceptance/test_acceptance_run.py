"""What the kernel's command line asks of an acceptance image, and what the image tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.acceptance import __main__ as acceptance
from appliance.acceptance.probe import Level
from appliance.acceptance.report import load
from appliance.agent.settings import SYSTEM_HOME
from appliance.image import profile

OVERLAY = Path(profile.__file__).parent / "overlay/common/usr/lib/systemd/system"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("ro quiet dccn.acceptance=quick,qemu panic=5", (Level.quick, "qemu")),
        ("dccn.acceptance=burnin", (Level.burnin, "")),
        ("dccn.acceptance=quick dccn.acceptance=burnin,rig-4090x2", (Level.burnin, "rig-4090x2")),
        ("dccn.acceptance=forever", (Level.quick, "")),
        ("", (Level.quick, "")),
    ],
)
def test_the_command_line_names_level_and_profile(line: str, wanted: tuple[Level, str]) -> None:
    assert acceptance.asked(line) == wanted


@pytest.mark.parametrize("name", ["qemu-acceptance", "x86-acceptance"])
def test_acceptance_images_ask_for_tests_that_there_are(name: str) -> None:
    made = profile.load(name)
    (word,) = [each for each in made.command_line if each.startswith(acceptance.WORD)]
    level, model = acceptance.asked(word)
    assert word.removeprefix(acceptance.WORD).startswith(level)
    assert model == "" or (acceptance.SUITES / "profiles" / f"{model}.toml").exists()
    assert "python3-pytest" in made.packages and "dccn-acceptance.service" in made.enabled_units


def test_the_report_is_signed_where_the_images_agent_keeps_its_identity() -> None:
    unit = (OVERLAY / "dccn-agent.service.d/image.conf").read_text()
    (settings,) = [json.loads(line.partition("'")[2].rstrip("'")) for line in unit.splitlines() if "agent '" in line]
    assert (settings["home"], settings["tpm"]) == (str(SYSTEM_HOME), acceptance.TPM)


@pytest.mark.slow
def test_the_image_tests_and_tells_and_gives_up_on_a_hub_that_nobody_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(acceptance, "PATIENCE_S", 0.0)
    assert acceptance.main(tmp_path, tmp_path / "home") == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"event"')]
    assert [each["event"] for each in told] == ["acceptance_report"]
    report = load(tmp_path / acceptance.REPORT)
    assert told[0]["passed"] == sum(each.outcome == "passed" for each in report.results) > 0
