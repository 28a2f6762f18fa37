"""`dccn doctor` on this machine, and on one whose agent says that something is wrong."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from appliance.agent.status import Status
from appliance.doctor.examine import CHECKS


def test_every_check_answers_on_this_machine(dccn: Any, tmp_path: Path) -> None:
    result = dccn("doctor", "--home", str(tmp_path), "--json")
    assert {row["check"] for row in result.document["findings"]} == set(CHECKS)
    assert (result.code == 1) == any(row["verdict"] == "problem" for row in result.document["findings"])
    assert not any("broke" in row["said"] for row in result.document["findings"])


def test_a_problem_is_a_fault_with_advice(dccn: Any, tmp_path: Path) -> None:
    status = Status(is_running=True, enrolled=True, written_ms=time.time_ns() // 1_000_000, spool_state="full")
    (tmp_path / "status.json").write_bytes(msgspec.json.encode(status))
    result = dccn("doctor", "--home", str(tmp_path))
    assert result.code == 1 and "FAULT spool" in result.out and "→ See why the hub takes none" in result.out


def test_a_status_that_cannot_be_read_is_no_status(dccn: Any, tmp_path: Path) -> None:
    for content in (b"", b"\xff", b"[" * 5_000, b'{"spool_records": "many"}'):
        (tmp_path / "status.json").write_bytes(content)
        findings = dccn("doctor", "--home", str(tmp_path), "--json").document["findings"]
        assert [row["said"] for row in findings if row["check"] == "spool"] == ["no agent has run here"]
