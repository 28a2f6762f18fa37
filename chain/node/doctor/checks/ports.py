"""Whether a stopped node's ports are free, and whether a running node's answer."""

from __future__ import annotations

from chain.errors import DccnError, Faulty
from chain.node.doctor.patient import Finding, Patient, ok, problem
from chain.web.listening import bind


def check(patient: Patient) -> list[Finding]:
    return [_answers(patient)] if patient.pid is not None else _free(patient)


def _answers(patient: Patient) -> Finding:
    try:
        height = patient.rpc.status().height
    except DccnError as error:
        return problem(
            f"process {patient.pid} runs the node, but {error.message}",
            "give it a minute after its start; then read its log",
        )
    return ok(f"RPC answers at {patient.rpc.url}, height {height}")


def _free(patient: Patient) -> list[Finding]:
    settings = patient.home.settings
    wanted = [("rpc", settings.rpc.host, settings.rpc.port, settings.rpc.port_may_move)]
    if patient.behind_cometbft:
        wanted.append(("p2p", settings.p2p.host, settings.p2p.port, False))
    findings = []
    for table, host, port, may_move in wanted:
        try:
            bind(host, port, may_move=may_move).close()
        except Faulty as error:
            findings.append(problem(f"{table}: {error.message}", f"stop that program, or change {table}.port"))
        else:
            findings.append(ok(f"{table}: {host} port {port} is free" + (" or may move" if may_move else "")))
    return findings
