"""docs/proofs.md says what is true: its script checks our proofs, its tables are the registry."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from chain.proofs import counters
from chain.proofs.pog.cpu import CpuBackend
from chain.proofs.pog.profiles import PROFILES
from chain.proofs.pog.prove import compute

PAGE = (Path(__file__).parents[3] / "docs" / "proofs.md").read_text()


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    path = tmp_path_factory.mktemp("docs") / "by_hand.py"
    path.write_text(found[1])
    return path


def check_by_hand(script: Path, proof: bytes) -> subprocess.CompletedProcess[str]:
    file = script.with_name("proof.cbor")
    file.write_bytes(proof)
    return subprocess.run([sys.executable, str(script), str(file)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("rows", [16, 37, 100])
def test_the_script_on_the_page_accepts_our_proofs(script: Path, rows: int) -> None:
    computation = compute(PROFILES["test"], b"\x01" * 32, b"\x02" * 32, "cpu", rows, backend=CpuBackend(1))
    answer = check_by_hand(script, computation.open(b"\x03" * 32).encoded())
    assert answer.stdout == f"all 16 rows of {rows} hold\n", answer.stderr


def test_the_script_on_the_page_finds_a_wrong_row(script: Path) -> None:
    proof = compute(PROFILES["test"], b"\x01" * 32, b"\x02" * 32, "cpu", 40, backend=CpuBackend(1)).open(b"\x03" * 32)
    good = proof.encoded()
    for position in (good.index(proof.opened[3].row) + 5, good.index(proof.opened[3].path[1]) + 5):
        bad = bytearray(good)
        bad[position] ^= 1
        assert check_by_hand(script, bytes(bad)).returncode == 1


def test_every_counter_and_profile_is_on_the_page() -> None:
    for name, counter in {**counters.HOST, **counters.GPU}.items():
        line = next((line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line), "")
        assert f"| {counter.unit} |" in line, name
    for name in counters.LOAD:
        assert f'"{name}"' in PAGE
    for profile in PROFILES.values():
        numbers = [f"{number:,}".replace(",", " ") for number in (profile.inner, profile.width, profile.openings)]
        assert f"| `{profile.name}` | {' | '.join(numbers)} |" in PAGE
