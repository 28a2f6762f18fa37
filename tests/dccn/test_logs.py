"""What the programs log: each line is one JSON object or one readable line, on stderr, from a level on."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from dccn import logs
from dccn.logs import LogFormat, LogLevel

OURS = logging.getLogger("chain.node.somewhere")
THEIRS = logging.getLogger("somebody.else")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("chain", "fleet", "appliance", "dccn"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_json_line_has_time_level_logger_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogFormat.json, LogLevel.info)
    OURS.info("height %d, “quoted”\nand broken", 7)
    OURS.debug("not this")
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert datetime.fromisoformat(found.pop("time")).utcoffset() is not None
    assert found == {"level": "info", "logger": OURS.name, "message": "height 7, “quoted”\nand broken"}


def test_a_failure_has_its_traceback_in_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogFormat.json, LogLevel.error)
    try:
        raise ValueError("why")
    except ValueError:
        OURS.error("it failed", exc_info=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["exception"].endswith("ValueError: why")


def test_what_a_library_says_below_a_warning_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogFormat.text, LogLevel.debug)
    THEIRS.info("chatter")
    THEIRS.warning("beware")
    OURS.debug("detail")
    said = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["WARNING somebody.else: beware", f"DEBUG {OURS.name}: detail"]


def test_every_line_of_a_running_node_is_one_object(tmp_path: Path) -> None:
    dccn = [sys.executable, "-m", "dccn", "--log-format", "json", "--log-level", "info"]
    subprocess.run([*dccn, "node", "init", "--home", str(tmp_path)], check=True, capture_output=True, timeout=60)
    node = subprocess.Popen(
        [*dccn, "node", "run", "--home", str(tmp_path), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert node.stdout is not None and json.loads(node.stdout.readline())["event"] == "ready"
    node.terminate()
    _, said = node.communicate(timeout=30)
    lines = [json.loads(line) for line in said.splitlines()]
    assert node.returncode == 0 and any(line["message"].startswith("RPC at http://") for line in lines)


def test_an_unknown_format_is_a_wrong_use() -> None:
    command = [sys.executable, "-m", "dccn", "--log-format", "xml", "node", "status"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2 and "'json'" in ended.stderr and "Traceback" not in ended.stderr
