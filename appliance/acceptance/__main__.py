"""`python -m appliance.acceptance`: the hardware tests of an acceptance image, as the kernel's command line asks for.

It prints a line of JSON when the tests are over, and one when the hub has the report; the report stays on the disk.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Final

from appliance.acceptance.delivery import deliver
from appliance.acceptance.probe import Level
from appliance.acceptance.report import load
from appliance.agent.settings import SYSTEM_HOME, Settings
from chain.errors import DccnError, Unavailable

SUITES: Final = Path(__file__).parents[2] / "hardware-tests"
WORD: Final = "dccn.acceptance="
REPORT: Final = "report.json"
TPM: Final = "device:/dev/tpmrm0"
"""As the image's agent is told: its identity may be in there."""
AGAIN_S: Final = 10.0
PATIENCE_S: Final = 24 * 3600.0
"""How long to wait until somebody has claimed the machine."""


def asked(command_line: str) -> tuple[Level, str]:
    """(level, profile) that the kernel's command line asks for; quick, without a profile, for what cannot be read."""
    words = [each.removeprefix(WORD) for each in command_line.split() if each.startswith(WORD)]
    level, _, profile = (words[-1] if words else "").partition(",")
    return (Level(level) if level in list(Level) else Level.quick), profile


def main(folder: Path, home: Path = SYSTEM_HOME) -> int:
    """Test, report, deliver; 0 when every test passed or was skipped and the hub has it."""
    import pytest

    level, profile = asked(Path("/proc/cmdline").read_text("utf-8"))
    options = ["--level", level.value, "--report", str(folder / REPORT), "--folder", str(folder)]
    if profile:
        options += ["--profile", profile]
    pytest.main([str(SUITES), "-c", str(SUITES / "pytest.ini"), "-q", "--color=no", *options])
    try:
        document = load(folder / REPORT)
    except DccnError as error:
        _say("acceptance_failed", reason=error.message)
        return error.exit_code
    outcomes = [each.outcome for each in document.results]
    counts = {name: outcomes.count(name) for name in ("passed", "failed", "skipped")}
    failures = [f"{each.test}: {each.said}" for each in document.results if each.outcome == "failed"]
    _say("acceptance_report", is_passed=document.is_passed, failures=failures, **counts)
    settings = Settings(home=home, tpm=TPM)
    return 0 if _delivered(settings, folder / REPORT) and document.is_passed else 1


def _delivered(settings: Settings, path: Path) -> bool:
    """Whether the hub took it, however long nobody has claimed the machine or the hub is away."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        if settings.enrolment_file.exists():
            try:
                _say("acceptance_delivered", **deliver(settings, path))
                return True
            except Unavailable:
                pass
            except DccnError as error:
                _say("acceptance_refused", code=error.code, reason=error.message)
                return False
        time.sleep(AGAIN_S)
    return False


def _say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
