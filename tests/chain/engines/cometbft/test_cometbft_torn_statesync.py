"""CometBFT killed between its state and its block store: its last words, and what is kept when it begins anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.engines.cometbft import binary, torn_statesync

STACK = "\n".join(f"github.com/cometbft/cometbft/node.NewNode({number:#x}, ...)" for number in range(30))
PANIC = "panic: state (11) and store (0) height mismatch, stores were left in an inconsistent state"


@pytest.mark.parametrize(
    ("said", "torn"),
    [
        (f"I[…] Version info\n{PANIC}\n\ngoroutine 1 [running]:\n{STACK}\n", True),
        (PANIC.replace("store (0)", "store (9)"), False),
        ("panic: wrong Block.Header.AppHash\n", False),
        (f"{PANIC}\n" + "I[…] a long life after that\n" * 1_000, False),
        ("", False),
    ],
    ids=["torn", "blocks are stored", "another panic", "long ago", "nothing said"],
)
def test_only_a_store_without_blocks_is_torn(tmp_path: Path, said: str, torn: bool) -> None:
    (tmp_path / "cometbft.log").write_text(said)
    assert torn_statesync.was_torn(tmp_path / "cometbft.log") is torn
    assert not torn_statesync.was_torn(tmp_path / "absent.log")


@pytest.mark.engine
def test_what_was_signed_is_kept_when_the_stores_are_emptied(tmp_path: Path) -> None:
    program = binary.find()
    data = tmp_path / "data"
    for name in ("blockstore.db", "state.db"):
        (data / name).mkdir(parents=True)
        (data / name / "CURRENT").write_text("MANIFEST-000000")
    (data / "priv_validator_state.json").write_text('{"height": "7", "round": 0, "step": 3}')
    torn_statesync.begin_anew(program, tmp_path)
    assert (data / "priv_validator_state.json").read_text() == '{"height": "7", "round": 0, "step": 3}'
    assert not (data / "state.db" / "CURRENT").exists() and not (data / "blockstore.db" / "CURRENT").exists()
