"""Whether a node of a network has somebody to talk to, and whether blocks come."""

from __future__ import annotations

from chain.errors import DccnError
from chain.node.doctor.patient import Finding, Patient, ok, problem, unknown, warning

FEW = 3
# A network that waits for a round or two is well; one that waits for many is not.
LATE_INTERVALS = 8


def check(patient: Patient) -> list[Finding]:
    if patient.pid is None:
        return [unknown("the node does not run, so it has no peers")]
    try:
        return [*_peers(patient), _blocks(patient)]
    except DccnError as error:
        return [unknown(error.message)]


def _peers(patient: Patient) -> list[Finding]:
    if not patient.behind_cometbft:
        return []
    count = int(patient.rpc.call("net_info")["n_peers"])
    validators = len(patient.rpc.validators())
    if count == 0 and validators > 1:
        advice = "look at p2p.persistent_peers and seeds, and whether the firewall lets p2p.port through"
        return [problem(f"no peer is connected, and {validators} validators make blocks", advice)]
    if count < min(FEW, validators - 1):
        return [warning(f"{count} peers are connected", "add seeds: with few peers, a cut line cuts the node off")]
    return [ok(f"{count} peers are connected")]


def _blocks(patient: Patient) -> Finding:
    newest = patient.rpc.signed_header().header
    parameters = patient.home.genesis.parameters
    longest_s = max(parameters.block_interval_ms, parameters.empty_block_interval_ms) / 1000
    age_s = (patient.now_ns - newest.time_ns) / 10**9
    said = f"block {newest.height} is {age_s:.0f} s old"
    if age_s > LATE_INTERVALS * max(longest_s, 1):
        if patient.rpc.status().catching_up:
            return warning(f"{said}: the node is catching up", "wait; it executes every block since it stopped")
        return problem(said, "fewer than two thirds of the power may be there: ask other operators for their height")
    return ok(said)
