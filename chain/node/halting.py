"""What ends a node: the first of its parts that ends, and why."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import NoReturn

from chain.errors import DccnError, Faulty

log = logging.getLogger(__name__)


async def until_one_ends(parts: Collection[asyncio.Task[None]]) -> NoReturn:
    """Waits until a part of the node ends, which none should; raises DccnError with its reason."""
    done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    _raise_reason(done.pop())


def _raise_reason(part: asyncio.Task[None]) -> NoReturn:
    error = part.exception() if not part.cancelled() else None
    if isinstance(error, DccnError):
        raise error
    if error is not None:
        log.error("the node halts", exc_info=error)
    raise Faulty(
        "internal", f"the node had to stop: {type(error).__name__ if error else 'a part of it ended'}: {error}"
    )
