"""Answering challenges: the real prover process, checked by the real verifier."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.agent.prover_process import ProverProcess
from appliance.agent.proving import Proving, compute_budget_ms
from chain.crypto.keys import PrivateKey
from chain.errors import Refused, Unavailable
from chain.proofs.commands import Command
from chain.proofs.pog.format import COMMITMENT_TAG, OPENING_TAG, Commitment, Proof, commitment_path, commitments_root
from chain.proofs.pog.profiles import PROFILES
from chain.proofs.pog.verify import FleetVerifier
from chain.wire.cose import open_envelope

DEVICE = b"d" * 32
BEACONS = {5: b"\x05" * 32, 8: b"\x08" * 32}
OTHER = Commitment(b"o" * 32, "cpu", "test", 64, b"r" * 32, 5).encoded()


class SmallChain:
    """A chain of two beacons and one commitment root."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.spent_ms = 0
        self.root: tuple[bytes, int] | None = None
        self.asked: list[int] = []

    def beacon(self, height: int) -> bytes:
        self.asked.append(height)
        if height not in BEACONS:
            raise Unavailable("unreachable", f"no block {height} yet")
        return BEACONS[height]

    def time_ms(self, _height: int) -> int:
        return self.clock.now_ms() - self.spent_ms

    def committed_root(self, challenge_height: int) -> tuple[bytes, int]:
        if self.root is None:
            raise Unavailable("unreachable", "nothing committed yet")
        return self.root


class Bench:
    """A Proving with everything it sends in lists."""

    def __init__(self, clock, events, process: ProverProcess | None = None) -> None:
        self.key = PrivateKey.generate("ed25519")
        self.chain = SmallChain(clock)
        self.commits: list[bytes] = []
        self.opens: list[bytes] = []
        self.answers: list[object] = []
        self.proving = Proving(
            device=DEVICE,
            chain_id="c",
            record_key=lambda: self.key,
            chain=self.chain,
            clock=clock,
            publish_commit=self.commits.append,
            publish_open=self.opens.append,
            note_answer=self.answers.append,
            emit=events,
            process=process,
        )

    def open_body(self) -> list[object]:
        envelope = open_envelope(self.commits[-1])
        ours = Commitment.from_list(envelope.body).encoded()
        self.chain.root = (commitments_root([ours, OTHER]), 2)
        index, path = commitment_path([ours, OTHER], ours)
        return [5, 7, index, 2, path]


def warm_up(process: ProverProcess) -> ProverProcess:
    """Returns when the child has loaded everything; a real window is long enough for that."""
    with contextlib.suppress(Refused):
        process.open(1, BEACONS[8])
    return process


@pytest.fixture
def bench(clock, events):
    bench = Bench(clock, events)
    warm_up(bench.proving._process)
    yield bench
    bench.proving._process.stop()


def test_a_challenge_is_computed_committed_opened_and_passes(bench: Bench, events) -> None:
    computed = bench.proving.answer([5, "test", 200])
    envelope = open_envelope(bench.commits[0])
    commitment = Commitment.from_list(envelope.body)
    assert envelope.verify(bench.key.public, COMMITMENT_TAG, "c")
    assert (commitment.device, commitment.rows, commitment.root) == (DEVICE, computed.rows, computed.root)
    assert computed.elapsed_ms < 2_000
    bench.proving.open(bench.open_body())
    opening = open_envelope(bench.opens[0])
    assert opening.verify(bench.key.public, OPENING_TAG, "c")
    proof = Proof.from_list(opening.body[2])
    assert opening.body[:2] == ["pogopen1", 5] and (proof.beacon, proof.open_beacon) == (BEACONS[5], BEACONS[8])
    verifier = FleetVerifier.drawn(PROFILES["test"], BEACONS[5], os.urandom)
    verdict = verifier.verify(proof, commitment=commitment, open_beacon=BEACONS[8])
    assert verdict.ok, verdict
    assert bench.proving.rate_ops_per_s and events.named("pog_opened")


def test_the_beacon_comes_from_the_devices_own_light_client(bench: Bench) -> None:
    bench.proving.answer([5, "test", 100])
    assert bench.chain.asked == [5]


def test_a_beacon_that_does_not_come_is_waited_for_and_then_given_up(bench: Bench, clock, monkeypatch) -> None:
    monkeypatch.setattr("appliance.agent.proving.BEACON_POLL_S", 0.0)
    monkeypatch.setattr(bench.chain, "beacon", lambda height: clock.pass_ms(6_000) or SmallChain.beacon(bench.chain, 6))
    with pytest.raises(Unavailable):
        bench.proving.answer([6, "test", 100])
    assert len(bench.chain.asked) == 4 and bench.commits == []


def test_a_challenge_whose_window_is_nearly_over_is_not_computed(bench: Bench) -> None:
    bench.chain.spent_ms = 151
    with pytest.raises(Refused) as refusal:
        bench.proving.answer([5, "test", 200])
    assert refusal.value.code == "pog_late" and bench.commits == []


@given(st.integers(-5_000, 60_000), st.integers(1_000, 60_000))
def test_a_commitment_leaves_at_half_of_the_window_or_soon_after(spent_ms: int, window_ms: int) -> None:
    try:
        budget_ms = compute_budget_ms(spent_ms, window_ms)
    except Refused:
        assert spent_ms > window_ms * 3 // 4 - 1
        return
    assert window_ms // 10 <= budget_ms <= window_ms // 2
    assert spent_ms + budget_ms <= max(window_ms // 2, spent_ms + window_ms // 10)


def test_nothing_is_opened_that_the_chain_does_not_hold(bench: Bench) -> None:
    bench.proving.answer([5, "test", 100])
    body = bench.open_body()
    bench.chain.root = (b"\x00" * 32, 2)
    with pytest.raises(Refused) as refusal:
        bench.proving.open(body)
    assert refusal.value.code == "proof_invalid" and bench.opens == []


def test_a_challenge_that_was_not_answered_cannot_be_opened(bench: Bench) -> None:
    with pytest.raises(Refused):
        bench.proving.open([5, 7, 0, 1, []])


def test_a_command_that_makes_no_sense_is_told_and_survived(bench: Bench, events) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=bench.proving.run, args=(stop,))
    thread.start()
    for body in ("nonsense", [0], [5, "no such profile", 100], [2**70, "test", 1]):
        bench.proving.take(Command("home", DEVICE, 1, 1, "pog", body))
    bench.proving.take(Command("home", DEVICE, 2, 1, "pog", [5, "test", 100]))
    while not bench.commits:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    stop.set()
    bench.proving.wake()
    thread.join(10)
    assert not thread.is_alive() and len(events.named("pog_failed")) == 4


# The process ---------------------------------------------------------------------------------------------------------


def compute(process: ProverProcess, height: int = 5) -> object:
    return process.compute(
        challenge_height=height, profile="test", beacon=BEACONS[5], device=DEVICE, gpu="cpu", budget_ms=100
    )


def test_a_prover_that_is_killed_is_started_again() -> None:
    process = warm_up(ProverProcess())
    compute(process)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises((Unavailable, Refused)):
        process.open(5, BEACONS[8])
    assert compute(warm_up(process))
    process.stop()


def test_a_prover_that_hangs_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr("appliance.agent.prover_process.SLACK_S", 0.1)
    process = ProverProcess([sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(Unavailable, match="no answer"):
        compute(process)
    assert process.pid is None


def test_stopping_the_agent_does_not_wait_for_a_computation() -> None:
    process = ProverProcess([sys.executable, "-c", "import time; time.sleep(60)"], is_stopping=lambda: True)
    with pytest.raises(Unavailable, match="stops"):
        compute(process)


def test_the_prover_dies_with_an_agent_that_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    child = os.fork()
    if child == 0:
        try:
            process = warm_up(ProverProcess())
            told.write_text(str(process.pid))
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    pid = int(told.read_text())
    for _ in range(500):
        if not _is_alive(pid):
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"the prover {pid} outlived its agent")


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_the_agents_process_never_loads_numpy() -> None:
    heavy = ("numpy", "litestar", "sqlalchemy", "httpx")
    script = f"import sys, appliance.agent.agent; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
