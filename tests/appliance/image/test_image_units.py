"""The image's own units: how exposed each is, by systemd's own measure, and that they name what exists."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.helper.callers import USERS
from appliance.helper.verbs import VERBS

OVERLAY = Path(__file__).parents[3] / "appliance/image/overlay/common/usr/lib"
UNITS = OVERLAY / "systemd/system"
MOST_EXPOSED = {
    "dccn-button.service": 12,
    "dccn-console.service": 20,
    "dccn-console@.service": 19,
    "dccn-disk-health.service": 19,
    "dccn-doctor.service": 17,
    "dccn-drain.service": 18,
    "dccn-gpu-clocks@.service": 37,
    "dccn-gpu-reset@.service": 37,
    "dccn-gpu-quarantine@.service": 37,
    "dccn-gpu-release@.service": 37,
    "dccn-helper.service": 11,
    "dccn-remove-images.service": 15,
    "dccn-restart-workload.service": 15,
    "dccn-vacuum-journal.service": 11,
    "dccn-resume.service": 18,
    "dccn-updates.service": 20,
}
"""Tenths of systemd's scale from 0 (confined) to 10. Those of the GPUs need CAP_SYS_ADMIN for their one call."""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("name", MOST_EXPOSED)
def test_it_is_as_confined_as_its_duties_allow(name: str) -> None:
    said = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED[name]}"),
            UNITS / name,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, said.stdout.splitlines()[-1]


def test_every_user_that_the_helper_knows_is_a_user_of_the_image() -> None:
    made = [line.split()[1] for line in (OVERLAY / "sysusers.d/dccn.conf").read_text().splitlines() if line[:2] == "u "]
    assert sorted(made) == sorted(set(USERS) - {"root"})


def test_every_unit_that_a_verb_starts_is_in_the_image() -> None:
    started = {"dccn-drain.service", "dccn-resume.service", "dccn-gpu-reset@.service", "dccn-gpu-clocks@.service"}
    started |= {"dccn-gpu-quarantine@.service", "dccn-gpu-release@.service", "dccn-restart-workload.service"}
    started |= {"dccn-remove-images.service", "dccn-vacuum-journal.service"}
    assert started <= {path.name for path in UNITS.iterdir()}
    assert {"drain", "resume", "gpu-reset", "gpu-clocks", "gpu-quarantine"} <= {verb.name for verb in VERBS}
    assert {"restart-workload", "remove-images", "vacuum-journal"} <= {verb.name for verb in VERBS}
