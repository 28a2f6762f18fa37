"""Whether this machine's clock is kept right, and not before the chain's own time: votes carry it."""

from __future__ import annotations

import shutil
import subprocess

from chain.errors import DccnError
from chain.node.doctor.patient import Finding, Patient, ok, problem, unknown, warning

TOLERANCE_S = 5
_ANSWER_TIMEOUT_S = 10


def check(patient: Patient) -> list[Finding]:
    return [_against_the_chain(patient), _synchronised()]


def _against_the_chain(patient: Patient) -> Finding:
    if patient.pid is None:
        return unknown("the node does not run, so its newest block's time is not compared")
    try:
        newest_ns = patient.rpc.signed_header().header.time_ns
    except DccnError as error:
        return unknown(f"the newest block's time: {error.message}")
    ahead_s = (newest_ns - patient.now_ns) / 10**9
    if ahead_s > TOLERANCE_S:
        return problem(
            f"the newest block is {ahead_s:.0f} s ahead of this machine's clock",
            "set the clock: timedatectl set-ntp true",
        )
    return ok("this machine's clock is not behind the chain's")


def _synchronised() -> Finding:
    program = shutil.which("timedatectl")
    if program is None:
        return unknown("there is no timedatectl to ask whether the clock is synchronised")
    try:
        answer = subprocess.run(
            [program, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_TIMEOUT_S,
            check=False,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return unknown(f"timedatectl does not answer: {error}")
    if answer == "no":
        return warning("the clock is not synchronised", "turn a time service on: timedatectl set-ntp true")
    return ok("the clock is synchronised") if answer == "yes" else unknown("timedatectl cannot tell")
