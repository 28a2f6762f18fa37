"""The pytest plugin of `hardware-tests/`: options, markers, absent hardware as a reason, and the report.

It runs under the pytest of Debian 12 (7.2) as well, which is the one in the image.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from appliance.acceptance import profile as profiles
from appliance.acceptance import report as reporting
from appliance.acceptance.probe import Level, Probe, absent
from appliance.acceptance.report import FORMAT, Document, Measured
from appliance.doctor.here import this_machine
from chain.errors import DccnError

PARTS: Final = (
    *("gpu", "nvme", "fan", "sensor", "tpm", "efi", "secure_boot", "watchdog", "edac", "root", "profile", "hub"),
)
"""What a test may need; `--require` makes its absence a failure."""
PROBE = pytest.StashKey[Probe]()
_ABSENT = pytest.StashKey[dict[str, str]]()
_RESULTS = pytest.StashKey[dict[str, Measured]]()
_STARTED_MS = pytest.StashKey[int]()
MAX_SAID: Final = 400


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hardware", "the machine under test")
    group.addoption("--profile", default="", help="model that this machine is: a name in profiles/, or a TOML file")
    group.addoption("--level", default="quick", choices=[each.value for each in Level], help="how long it is loaded")
    group.addoption("--require", default="", help=f"parts whose absence is a failure, by commas: {', '.join(PARTS)}")
    group.addoption("--report", default="", help="file for the report (JSON)")
    group.addoption("--folder", default="/var/tmp", help="folder on the disk under test")
    group.addoption("--destructive", action="store_true", help="also tests after which the machine is not as before")


def pytest_configure(config: pytest.Config) -> None:
    for part in PARTS:
        config.addinivalue_line("markers", f"needs_{part}: skipped, or with --require failed, without it")
    config.addinivalue_line("markers", "burnin: long; runs with --level burnin")
    config.addinivalue_line("markers", "destructive: runs with --destructive")
    config.stash[_STARTED_MS] = _now_ms()
    config.stash[_RESULTS] = {}
    if PROBE not in config.stash:
        config.stash[PROBE] = _this_probe(config)
    unknown = sorted(_required(config) - set(PARTS))
    if unknown:
        raise pytest.UsageError(f"--require: there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    config.stash[_ABSENT] = absent(config.stash[PROBE])


def pytest_runtest_setup(item: pytest.Item) -> None:
    config = item.config
    if item.get_closest_marker("burnin") and config.getoption("--level") != Level.burnin:
        pytest.skip("it runs with --level burnin")
    if item.get_closest_marker("destructive") and not config.getoption("--destructive"):
        pytest.skip("it runs with --destructive")
    required = _required(config)
    for part, reason in config.stash[_ABSENT].items():
        if item.get_closest_marker(f"needs_{part}"):
            if part in required:
                pytest.fail(f"required: {reason}", pytrace=False)
            pytest.skip(reason)


@pytest.fixture(scope="session")
def probe(request: pytest.FixtureRequest) -> Probe:
    """The machine under test."""
    return request.config.stash[PROBE]


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str, object], None]:
    """Notes a value of the machine in the report: `measured("celsius", 71)`."""
    return record_property


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _Collector.note(report)


def pytest_sessionstart(session: pytest.Session) -> None:
    _Collector.results = session.config.stash[_RESULTS]


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    path = str(config.getoption("--report"))
    results = list(config.stash[_RESULTS].values())
    if not path or not results:
        return
    probe = config.stash[PROBE]
    hardware = probe.inventory().hardware()
    machine: dict[str, str | int | None] = {
        "processor": hardware.cpu_model,
        "threads": hardware.cpu_threads,
        "memory_mib": (hardware.memory_bytes or 0) >> 20,
        "kernel": hardware.kernel,
        "disks": ", ".join(disk.name for disk in hardware.disks),
        "cards": ", ".join(address for address, _nvml, _handle in probe.cards()),
    }
    document = Document(
        format=FORMAT,
        profile=Path(str(config.getoption("--profile"))).stem,
        level=str(config.getoption("--level")),
        started_ms=config.stash[_STARTED_MS],
        ended_ms=max(_now_ms(), config.stash[_STARTED_MS]),
        machine=machine,
        required=sorted(_required(config)),
        results=results,
    )
    reporting.write(Path(path), document)


class _Collector:
    """pytest tells of each phase of each test; the hook has no way to its configuration."""

    results: dict[str, Measured] = {}  # noqa: RUF012

    @classmethod
    def note(cls, report: pytest.TestReport) -> None:
        name = report.nodeid.rsplit("/", 1)[-1].replace(".py::", ".")
        before = cls.results.get(name)
        if report.when != "call" and not (report.outcome != "passed" or report.when == "setup"):
            return
        if before is not None and before.outcome == "failed":
            return
        cls.results[name] = Measured(
            test=name,
            outcome=report.outcome,
            said=_said(report),
            milliseconds=int(report.duration * 1000) + (before.milliseconds if before else 0),
            values={key: str(value) for key, value in report.user_properties},
        )


def _said(report: pytest.TestReport) -> str:
    """Why a test failed or was skipped, in one line."""
    if report.outcome == "passed":
        return ""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")[:MAX_SAID]
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash is not None else report.longrepr)
    return " ".join(text.split())[:MAX_SAID]


def _this_probe(config: pytest.Config) -> Probe:
    name = str(config.getoption("--profile"))
    try:
        profile = profiles.load(name) if name else None
    except DccnError as error:
        raise pytest.UsageError(error.message) from None
    folder = Path(str(config.getoption("--folder")))
    machine = this_machine(data=folder)
    return Probe(machine=machine, level=Level(config.getoption("--level")), profile=profile, folder=folder)


def _required(config: pytest.Config) -> set[str]:
    chosen: Any = config.getoption("--require")
    return {each.strip() for each in str(chosen).split(",") if each.strip()}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
