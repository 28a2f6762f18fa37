"""Signals that another thread acts on, for programs whose main thread waits for an event."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable


def call_on(action: Callable[[], None], *numbers: signal.Signals) -> Callable[[], None]:
    """From now on these signals have a thread call `action`; the answer puts the old handlers back.

    Without effect outside the main thread. A handler runs within the main thread, perhaps in the middle of
    `event.wait()`, whose lock is not reentrant: one that called `event.set()` itself could wait for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    came: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def act() -> None:
        while came.get():
            action()

    threading.Thread(target=act, name="signals", daemon=True).start()
    before = {number: signal.signal(number, lambda *_: came.put(True)) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        came.put(False)

    return restore
