"""The work that is paid: one challenge of the chain's own kind, computed, opened and verified on this machine."""

from __future__ import annotations

import os
import time

from appliance.acceptance.probe import Level, Probe
from chain.proofs.pog.bench import bench
from chain.proofs.pog.cpu import CpuBackend

WINDOW_MS = {Level.quick: 2_000, Level.burnin: 60_000}
PROFILE = {Level.quick: "test", Level.burnin: "light"}


def test_a_challenge_is_answered_and_its_proof_verifies(probe: Probe, measured) -> None:
    done = bench(
        backend=CpuBackend(),
        profile=PROFILE[probe.level],
        window_ms=WINDOW_MS[probe.level],
        random_bytes=os.urandom,
        clock=time.monotonic,
    )
    measured("rows", done.rows)
    measured("tera_ops", f"{done.tera_ops:.4f}")
    assert done.verified, "this machine computes what nobody can verify"
