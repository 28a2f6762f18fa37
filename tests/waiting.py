"""Waiting for other processes, whose only event is that an answer changes."""

from __future__ import annotations

import time
from collections.abc import Callable

from chain.errors import DccnError


def wait_until(condition: Callable[[], object], timeout_s: float) -> None:
    """Until the condition is true; a refusal on the way counts as not yet, and the last one is in the error."""
    deadline, last = time.monotonic() + timeout_s, None
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except DccnError as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"not within {timeout_s} s; last answer: {last}")
