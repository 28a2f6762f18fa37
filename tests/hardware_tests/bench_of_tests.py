"""Runs the hardware tests, as they are, on a recorded machine, and says how each ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.acceptance.plugin import PROBE
from appliance.acceptance.probe import Probe

SUITES = Path(__file__).parents[2] / "hardware-tests"


@dataclass
class Outcomes:
    """A pytest plugin: `probe` is the machine, `ended` maps a test's short name to (outcome, why)."""

    probe: Probe
    ended: dict[str, tuple[str, str]] = field(default_factory=dict)
    code: int = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[PROBE] = self.probe

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rsplit("::", 1)[-1]
        if report.when == "call" or report.outcome != "passed":
            self.ended[name] = (report.outcome, str(report.longrepr))

    def outcome(self, name: str) -> str:
        return self.ended[name][0]

    def why(self, name: str) -> str:
        return self.ended[name][1]


def run(probe: Probe, *suites: str, options: Sequence[str] = ()) -> Outcomes:
    """`suites` are names of files without `test_`, with `::test` for one test; all when none is named."""
    outcomes = Outcomes(probe)
    chosen = [
        str(SUITES / f"test_{suite.partition('::')[0]}.py") + suite[len(suite.partition("::")[0]) :] for suite in suites
    ]
    arguments = [*(chosen or [str(SUITES)]), "-q", "-c", str(SUITES / "pytest.ini"), "-p", "no:asyncio", *options]
    outcomes.code = int(pytest.main(arguments, plugins=[outcomes]))
    return outcomes
