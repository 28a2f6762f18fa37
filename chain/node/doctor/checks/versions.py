"""Whether CometBFT is there in a version that this program was tested with."""

from __future__ import annotations

from chain.engines.cometbft import binary
from chain.errors import Unavailable
from chain.node.doctor.patient import Finding, Patient, ok, problem, warning


def check(patient: Patient) -> list[Finding]:
    if not patient.behind_cometbft:
        return [ok("the embedded engine is part of this program")]
    try:
        path = binary.find(patient.home.settings.cometbft.binary)
        found = binary.version_of(path)
    except Unavailable as error:
        return [problem(error.message, error.remedy)]
    if found != binary.VERSION:
        return [warning(f"{path} is CometBFT {found}, tested was {binary.VERSION}", "make engines brings that one")]
    return [ok(f"CometBFT {found} in {path}")]
