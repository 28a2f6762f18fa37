"""Whether the operator's keys are private, whether what they signed is remembered, and whether they have a seat."""

from __future__ import annotations

import json

from chain.errors import DccnError
from chain.node.doctor.patient import Finding, Patient, ok, problem, unknown, warning
from chain.node.home import operators_path

_OTHERS = 0o077


def check(patient: Patient) -> list[Finding]:
    if not patient.home.operators:
        return [ok("the home has no operator's keys: the node follows, and produces nothing")]
    return [_private(patient), *_remembered(patient), _seated(patient)]


def _private(patient: Patient) -> Finding:
    folder = operators_path(patient.home.path)
    open_ = [path for path in folder.rglob("*.json") if path.stat().st_mode & _OTHERS]
    if open_:
        return problem(f"others may read {open_[0]}", f"chmod -R go= {folder}; if anybody did, rotate the keys")
    return ok(f"the keys in {folder} are private")


def _remembered(patient: Patient) -> list[Finding]:
    """CometBFT's note of the last signature must not be older than its blocks."""
    if not patient.behind_cometbft:
        return []
    data = patient.home.path / "cometbft" / "data"
    signed = data / "priv_validator_state.json"
    if not (data / "blockstore.db").exists():
        return [ok("CometBFT has no blocks yet")]
    try:
        height = int(json.loads(signed.read_text("utf-8"))["height"])
    except (OSError, ValueError, KeyError, TypeError):
        advice = "never start it so: rotate the keys with dccn validator rotate-key"
        return [problem(f"{signed}, which says what was signed last, cannot be read", advice)]
    return [ok(f"the last signature was at height {height}")]


def _seated(patient: Patient) -> Finding:
    if patient.pid is None:
        return unknown("the node does not run, so its seats are not looked up")
    try:
        seated = {each.address for each in patient.rpc.validators()}
    except DccnError as error:
        return unknown(error.message)
    own = [each for each in patient.home.operators if each.validator_address in seated]
    if own:
        return ok(f"{len(own)} of {len(patient.home.operators)} keys here have a seat")
    return warning("no key here has a seat now", "dccn validator show says what is lacking")
