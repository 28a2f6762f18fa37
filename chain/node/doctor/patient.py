"""What the checks look at, and what they say: one home, its node if it runs, the clock of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chain.light.rpc import RpcClient
from chain.node.home import Home


class Verdict(StrEnum):
    """`unknown` is what could not be looked at; it is not a problem and not a clean bill."""

    ok = "ok"
    warning = "warning"
    problem = "problem"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """`said` is what was found with its numbers, `advice` what to do about it."""

    verdict: Verdict
    said: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """`rpc` is that of the node of `home`; `pid` is the process that runs it, None when none does."""

    home: Home
    rpc: RpcClient
    pid: int | None
    now_ns: int

    @property
    def behind_cometbft(self) -> bool:
        return self.home.settings.engine == "cometbft"


def ok(said: str) -> Finding:
    return Finding(Verdict.ok, said)


def warning(said: str, advice: str) -> Finding:
    return Finding(Verdict.warning, said, advice)


def problem(said: str, advice: str) -> Finding:
    return Finding(Verdict.problem, said, advice)


def unknown(said: str) -> Finding:
    return Finding(Verdict.unknown, said)
