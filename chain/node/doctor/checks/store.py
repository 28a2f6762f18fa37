"""Whether the stored state has the app hash that was stored with it: the whole tree is computed anew."""

from __future__ import annotations

from contextlib import closing

from chain.application.store import StateStore
from chain.errors import DccnError
from chain.ledger.upgrades import KNOWN_RULES
from chain.node.doctor.patient import Finding, Patient, ok, problem, unknown, warning
from chain.node.doctor.sides import opened
from chain.wire.governance import UPGRADE_KEY, Upgrade


def check(patient: Patient) -> list[Finding]:
    if patient.pid is not None:
        return [unknown("the node runs, so its store is left alone; stop it to have it checked")]
    if not (patient.home.data / "state").is_dir():
        return [ok("nothing is stored yet")]
    try:
        with closing(StateStore(patient.home.data / "state")) as store:
            state = opened(store, patient.home.settings)
            said = f"the state at height {state.height} has app hash {state.app_hash.hex()}"
            return [ok(said), _rules(state.get(UPGRADE_KEY), state.height)]
    except DccnError as error:
        return [problem(error.message, error.remedy)]


def _rules(data: bytes | None, height: int) -> Finding:
    upgrade = None if data is None else Upgrade.decode(data)
    if upgrade is None or upgrade.rules in KNOWN_RULES:
        return ok("this program knows the rules of the chain")
    said = f"from height {upgrade.height} on the chain follows rules {upgrade.rules}, unknown to this program"
    advice = "install the release that knows them"
    return problem(said, advice) if height + 1 >= upgrade.height else warning(said, f"{advice} before that height")
