"""The readers that strangers reach first are fuzzed for some seconds; `make fuzz` does all of them for longer."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tools.fuzz.targets import TARGETS, canonical, reads

MOST_EXPOSED = ("abci", "block", "ledger", "light", "records", "transactions")
SECONDS = 3

fuzzer = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="there is no atheris for this Python")


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_keeps_its_promise_on_its_seeds_and_their_pieces(name: str) -> None:
    for seed in TARGETS[name].seeds:
        for piece in (seed, seed[:-1], seed[1:], seed + b"\x00", seed * 2, b""):
            TARGETS[name].work(piece)


def test_a_target_notices_a_broken_promise() -> None:
    with pytest.raises(ZeroDivisionError):
        reads(lambda data: 1 // len(data)).work(b"")
    with pytest.raises(AssertionError, match="another one"):
        canonical(lambda data: data, lambda value: b"something else").work(b"x")


@fuzzer
@pytest.mark.slow
@pytest.mark.parametrize("name", MOST_EXPOSED)
def test_no_input_that_a_fuzzer_finds_breaks_a_reader(name: str) -> None:
    command = [sys.executable, "-m", "tools.fuzz", "--seconds", str(SECONDS), name]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout.split()[1]) > 500, ended.stdout
