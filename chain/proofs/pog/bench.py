"""What this machine would prove, measured offline with the code of the real challenge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from chain.proofs.pog.backend import Backend
from chain.proofs.pog.calibrate import Speed, measure, rows_for_window
from chain.proofs.pog.challenge import CPU_NAME, Challenge
from chain.proofs.pog.profiles import profile_named
from chain.proofs.pog.prove import compute
from chain.proofs.pog.rate import operations_per_second, work_micro_ankr_per_hour
from chain.proofs.pog.verify import FleetVerifier


@dataclass(frozen=True, slots=True)
class BenchResult:
    """`tera_ops` are 10^12 integer operations per second over a whole challenge, with generation and hashing."""

    profile: str
    backend: str
    window_ms: int
    rows: int
    rows_per_s: float
    elapsed_s: float
    tera_ops: float
    work_micro_ankr_per_hour: int
    proof_bytes: int
    verify_ms: float
    verified: bool

    def document(self) -> dict[str, object]:
        return asdict(self)


def bench(
    *,
    backend: Backend,
    profile: str,
    window_ms: int,
    random_bytes: Callable[[int], bytes],
    clock: Callable[[], float],
    progress: Callable[[int, int], None] | None = None,
) -> BenchResult:
    """Calibrate, answer one challenge on random beacons as in a real round, verify the answer, and report.

    `clock` gives monotonic seconds. The predicted work is what the ledger would count for this rate.
    """
    challenge = Challenge(profile_named(profile), random_bytes(32), random_bytes(32), CPU_NAME)
    speed = measure(challenge, backend, seconds=min(1.0, window_ms / 8_000), clock=clock)
    rows = rows_for_window(speed, window_ms)
    start = clock()
    c = challenge
    computation = compute(c.profile, c.beacon, c.device, c.gpu, rows, progress, backend=backend)
    elapsed_s = clock() - start
    proof = computation.open(random_bytes(32))
    verifier = FleetVerifier.drawn(challenge.profile, challenge.beacon, random_bytes)
    verify_start = clock()
    verdict = verifier.verify(proof)
    verify_ms = (clock() - verify_start) * 1_000
    return _result(speed, backend, window_ms, rows, elapsed_s, len(proof.encoded()), verify_ms, verdict.ok)


def _result(
    speed: Speed,
    backend: Backend,
    window_ms: int,
    rows: int,
    elapsed_s: float,
    proof_bytes: int,
    verify_ms: float,
    verified: bool,
) -> BenchResult:
    rate = operations_per_second(speed.profile, rows, max(1, round(elapsed_s * 1_000)))
    return BenchResult(
        profile=speed.profile.name,
        backend=backend.name,
        window_ms=window_ms,
        rows=rows,
        rows_per_s=round(speed.rows_per_s, 1),
        elapsed_s=round(elapsed_s, 3),
        tera_ops=round(rate / 1e12, 4),
        work_micro_ankr_per_hour=work_micro_ankr_per_hour(rate),
        proof_bytes=proof_bytes,
        verify_ms=round(verify_ms, 3),
        verified=verified,
    )
