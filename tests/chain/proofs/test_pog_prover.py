"""The prover around the product: progress, deadlines, calibration, the offline bench, commitments."""

import os
import subprocess
import sys
import time
from hashlib import sha256

import pytest

from chain.crypto import merkle
from chain.errors import Malformed, Refused
from chain.proofs.pog.bench import bench
from chain.proofs.pog.calibrate import Speed, measure, rows_for_window
from chain.proofs.pog.challenge import Challenge
from chain.proofs.pog.cpu import CpuBackend
from chain.proofs.pog.format import Commitment, commitment_included, commitment_path, commitments_root
from chain.proofs.pog.profiles import PROFILES
from chain.proofs.pog.prove import Deadline, compute
from chain.proofs.pog.verify import FleetVerifier

TEST, LIGHT = PROFILES["test"], PROFILES["light"]
BEACON, DEVICE = sha256(b"beacon").digest(), sha256(b"device").digest()


def commitment(number: int) -> bytes:
    return Commitment(sha256(bytes([number])).digest(), "cpu", "test", 100, bytes(32), 7).encoded()


def test_progress_is_told_after_every_block_and_ends_at_the_rows_asked_for() -> None:
    told: list[tuple[int, int]] = []
    compute(TEST, BEACON, DEVICE, "cpu", 5_000, lambda done, asked: told.append((done, asked)), backend=CpuBackend(1))
    assert told == [(2_048, 5_000), (4_096, 5_000), (5_000, 5_000)]


def test_the_number_of_threads_changes_nothing() -> None:
    roots = {compute(TEST, BEACON, DEVICE, "cpu", 4_500, backend=CpuBackend(workers)).root for workers in (1, 2, 3)}
    assert len(roots) == 1


def test_a_deadline_commits_to_the_rows_that_are_done() -> None:
    ticks = iter(range(100))
    deadline = Deadline(at_s=2, clock=lambda: float(next(ticks)))
    stopped = compute(TEST, BEACON, DEVICE, "cpu", 10_000, backend=CpuBackend(1), deadline=deadline)
    assert stopped.rows == 4_096
    assert FleetVerifier.drawn(TEST, BEACON, os.urandom).verify(stopped.open(bytes(32))).ok


def test_a_deadline_that_is_past_already_is_refused_as_late() -> None:
    with pytest.raises(Refused, match="pog_late"):
        compute(TEST, BEACON, DEVICE, "cpu", 100, backend=CpuBackend(1), deadline=Deadline(0.0, lambda: 1.0))


def test_half_the_window_is_filled_and_never_less_than_can_be_proven() -> None:
    speed = Speed(LIGHT, setup_s=0.5, rows_per_s=1_000.0)
    assert rows_for_window(speed, window_ms=3_000) == 1_000
    assert rows_for_window(speed, window_ms=100) == LIGHT.openings


def test_calibration_measures_at_least_one_block() -> None:
    ticks = iter([0.0, 0.25, 10.0, 10.5])
    speed = measure(Challenge(TEST, BEACON, DEVICE, "cpu"), CpuBackend(1), seconds=1.0, clock=lambda: next(ticks))
    assert speed.setup_s == 0.25
    assert speed.rows_per_s == 2_048 / (10.5 - 0.25)


def test_the_bench_answers_a_real_challenge_and_predicts_its_work() -> None:
    result = bench(backend=CpuBackend(), profile="test", window_ms=200, random_bytes=os.urandom, clock=time.monotonic)
    assert result.verified and result.rows >= TEST.openings and result.rows_per_s > 0
    assert result.work_micro_ankr_per_hour == pytest.approx(result.tera_ops * 1_000_000, abs=101)
    assert set(result.document()) >= {"rows_per_s", "tera_ops", "work_micro_ankr_per_hour", "verify_ms"}


def test_a_light_proof_is_verified_in_milliseconds() -> None:
    proof = compute(LIGHT, BEACON, DEVICE, "cpu", 300, backend=CpuBackend()).open(bytes(32))
    verifier = FleetVerifier.drawn(LIGHT, BEACON, os.urandom)
    fastest = float("inf")
    for _ in range(20):
        start = time.thread_time()
        assert verifier.verify(proof).ok
        fastest = min(fastest, time.thread_time() - start)
    assert fastest < 0.004, "the aim is 2 ms; twice that leaves room for slow machines"


def test_the_root_of_commitments_depends_on_the_set_only() -> None:
    items = [commitment(number) for number in range(5)]
    root = commitments_root(items)
    assert root == commitments_root([*reversed(items), items[0]]) == merkle.root(sorted(items))
    index, path = commitment_path(items, items[3])
    assert commitment_included(root, items[3], index, 5, path)
    assert not commitment_included(root, commitment(9), index, 5, path)


def test_commitments_are_read_strictly() -> None:
    sent = Commitment(DEVICE, "GPU-1", "light", 32, bytes(32), 1)
    assert Commitment.decode(sent.encoded()) == sent
    for wrong in (
        Commitment(DEVICE[1:], "GPU-1", "light", 32, bytes(32), 1),
        Commitment(DEVICE, "", "light", 32, bytes(32), 1),
        Commitment(DEVICE, "GPU-1", "heavy", 32, bytes(32), 1),
        Commitment(DEVICE, "GPU-1", "light", 31, bytes(32), 1),
        Commitment(DEVICE, "GPU-1", "light", 32, bytes(33), 1),
        Commitment(DEVICE, "GPU-1", "light", 32, bytes(32), 0),
    ):
        with pytest.raises(Malformed, match="pog_malformed"):
            Commitment.decode(wrong.encoded())


def test_a_process_that_only_signs_or_carries_proofs_loads_no_numpy() -> None:
    modules = "chain.proofs.records, chain.proofs.commands, chain.proofs.batch, chain.proofs.pog.format"
    code = f"import sys, {modules}, chain.proofs.pog.rate; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
