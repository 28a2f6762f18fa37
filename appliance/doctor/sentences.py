"""A problem as a person reads it, from what the agent's status says; whatever that holds, this is a line of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def ailments(status: Mapping[str, Any]) -> Iterator[str]:
    """A line for each problem of a status document, the gravest first as they come there."""
    problems = status.get("problems")
    for problem in problems if isinstance(problems, list) else []:
        if isinstance(problem, dict) and problem.get("said"):
            following = problem.get("next_repair")
            what_next = f"next it tries {following}" if following else str(problem.get("suggestion") or "")
            tried = _tried(problem.get("attempts"))
            yield "; ".join(part for part in (str(problem["said"]), tried, what_next) if part)


def _tried(attempts: object) -> str:
    """The last thing that was tried."""
    last = attempts[-1] if isinstance(attempts, list) and attempts else None
    if not isinstance(last, dict):
        return ""
    ended = {"done": "done", "failed": "without success"}.get(str(last.get("outcome")), "begun")
    return f"tried {last.get('repair')}, {ended}"
