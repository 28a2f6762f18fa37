"""The ledger's outcomes as ABCI results: code 0 or a number of the registry, and a log that begins with its name."""

from __future__ import annotations

from chain.application.abci import Event, EventAttribute, ExecTxResult, ResponseCheckTx
from chain.errors import REGISTRY, DccnError
from chain.ledger.machine import Event as LedgerEvent
from chain.ledger.machine import Outcome

CODESPACE = "dccn"


def exec_result(outcome: Outcome) -> ExecTxResult:
    return ExecTxResult(
        code=outcome.code,
        log=_log(outcome),
        gas_wanted=outcome.gas_wanted,
        gas_used=outcome.gas_used,
        events=tuple(map(event, outcome.events)),
        codespace="" if outcome.ok else CODESPACE,
    )


def check_result(outcome: Outcome) -> ResponseCheckTx:
    return ResponseCheckTx(
        code=outcome.code,
        log=_log(outcome),
        gas_wanted=outcome.gas_wanted,
        gas_used=outcome.gas_used,
        codespace="" if outcome.ok else CODESPACE,
    )


def refused_check(error: DccnError) -> ResponseCheckTx:
    """The answer to a transaction that could not even be read, or that nobody signed."""
    return ResponseCheckTx(code=REGISTRY[error.code].number, log=str(error), codespace=CODESPACE)


def event(happened: LedgerEvent) -> Event:
    return Event(happened.type, tuple(EventAttribute(key, value, index=True) for key, value in happened.attributes))


def _log(outcome: Outcome) -> str:
    return "" if outcome.ok else f"{outcome.error}: {outcome.log}"
