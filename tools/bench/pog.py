"""What a proof of compute costs the one who checks it, against what it costs the one who makes it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

from chain.proofs.pog.challenge import CPU_NAME
from chain.proofs.pog.cpu import CpuBackend
from chain.proofs.pog.profiles import PROFILES
from chain.proofs.pog.prove import compute
from chain.proofs.pog.verify import FleetVerifier
from tools.bench.measure import Row, cpu_seconds

ROWS = 20_000


def rows() -> Iterator[Row]:
    profile = PROFILES["light"]
    beacon, device = hashlib.sha256(b"beacon").digest(), hashlib.sha256(b"device").digest()
    start = time.process_time()
    computation = compute(profile, beacon, device, CPU_NAME, ROWS, backend=CpuBackend())
    proving_ms = (time.process_time() - start) * 1_000
    proof = computation.open(hashlib.sha256(b"open").digest())
    setup_ms = cpu_seconds(lambda: FleetVerifier.drawn(profile, beacon, deterministic_bytes), 3) * 1_000
    verifier = FleetVerifier.drawn(profile, beacon, deterministic_bytes)
    assert verifier.verify(proof).ok
    verifying_ms = cpu_seconds(lambda: verifier.verify(proof), 21) * 1_000
    yield Row("PoG light: verify one device", verifying_ms, "ms CPU", aim=("<=", 2.0))
    yield Row(
        "PoG light: verifier's share of the prover's work",
        verifying_ms,
        "ms CPU",
        f"proving {ROWS} rows, ms",
        proving_ms,
    )
    yield Row("PoG light: once per round for the whole fleet", setup_ms, "ms CPU")
    yield Row("PoG light: proof size", len(proof.encoded()) / 1024, "KiB")


def deterministic_bytes(count: int) -> bytes:
    """Seeded bytes in the place of the verifier's secret: a bench repeats."""
    return hashlib.shake_256(b"bench").digest(count)
