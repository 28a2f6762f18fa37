"""An emulated TPM for each test, and a hub that judges it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import swtpm
from tests.attesting import AttestingHub, attesting_hub


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return swtpm.manufactured(tmp_path)


@pytest.fixture
def tcti(state: Path) -> Iterator[str]:
    with swtpm.running(state) as tcti:
        yield tcti


@pytest.fixture
def attesting(tmp_path: Path) -> Iterator[AttestingHub]:
    with attesting_hub(tmp_path / "hub-home") as hub:
        yield hub
