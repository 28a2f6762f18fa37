"""`dccn elect` repeats the golden elections of docs/economics.md."""

from __future__ import annotations

import json
from typing import Any

import pytest

CANDIDATES = [
    {"operator": "whale", "service_level": 200, "bond": "5000000", "keys": 3},
    {"operator": "worker", "service_level": 40000, "bond": "50000", "keys": 3},
    {"operator": "small", "service_level": 9000, "bond": "10000", "keys": 2},
    {"operator": "idle", "service_level": 0, "bond": "50000", "keys": 1},
]


def election(**changes: Any) -> bytes:
    return json.dumps({"candidates": CANDIDATES, "seed": "00" * 32, "seats": 4, **changes}).encode()


def test_draws_the_golden_seats_in_order(dccn: Any) -> None:
    result = dccn("elect", "-", "--json", stdin=election(seed="11" * 32, seats=30)).document
    assert result["weights"] == {"whale": 31622, "worker": 44721, "small": 9486, "idle": 0}
    names = "worker 0, whale 0, whale 1, worker 1, whale 2, worker 2, small 0, small 1"
    assert result["drawn"] == [[name.split()[0], int(name.split()[1])] for name in names.split(", ")]


def test_reads_a_file_as_well_as_standard_input(dccn: Any, tmp_path: Any) -> None:
    (tmp_path / "election.json").write_bytes(election())
    from_file = dccn("elect", str(tmp_path / "election.json"), "--json")
    assert from_file == dccn("elect", "-", "--json", stdin=election())
    assert from_file.document["drawn"] == [["whale", 0], ["worker", 0], ["small", 0]]


def test_a_seat_that_is_taken_is_not_drawn_again(dccn: Any) -> None:
    result = dccn("elect", "-", "--json", stdin=election(seated=[["whale", 0]])).document
    assert ["whale", 0] not in result["drawn"]


def test_draws_the_golden_proposers(dccn: Any) -> None:
    def drawn(height: int, round_: int) -> int:
        options = ("--beacon", "00" * 32, "--height", str(height), "--round", str(round_), "--validators", "4")
        return int(dccn("elect", "proposer", *options, "--json").document["index"])

    assert [drawn(height, 0) for height in range(1, 11)] == [3, 3, 0, 2, 3, 2, 1, 1, 3, 1]
    assert [drawn(1, round_) for round_ in range(6)] == [3, 1, 3, 1, 1, 3]


@pytest.mark.parametrize(
    "broken",
    [
        b"not json",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        election(seed="11"),
        election(seats=-1),
        election(seats=1.5),
        election(candidates="all of them"),
        election(candidates=[{"operator": "x"}]),
        election(candidates=CANDIDATES[:1] * 2),
        election(candidates=[{**CANDIDATES[0], "bond": "1e9"}]),
        election(candidates=[{**CANDIDATES[0], "bond": str(1 << 128)}]),
        election(seated=[["whale"]]),
        election(seated=[["whale", "0"]]),
    ],
)
def test_refuses_a_broken_election_with_one_line(dccn: Any, broken: bytes) -> None:
    result = dccn("elect", "-", stdin=broken)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1 and result.err.startswith("dccn: malformed")


def test_says_which_file_is_missing(dccn: Any, tmp_path: Any) -> None:
    result = dccn("elect", str(tmp_path / "absent.json"), "--json")
    assert result.code == 2 and "absent.json" in result.err
    assert result.document["ok"] is False and result.document["code"] == "usage"
