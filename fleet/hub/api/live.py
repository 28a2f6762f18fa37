"""What follows by itself: the page's parts, drawn again at most twice a second and only on change; and the events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from litestar.response import ServerSentEventMessage

from chain.errors import Refused
from fleet.hub.actions.events import HubEvent, kind_of
from fleet.hub.api.context import Hub
from fleet.hub.api.overview import overview
from fleet.hub.page.rendering import Renderer
from fleet.hub.ports import ChainView

INTERVAL_S: Final = 0.5
IDLE_S: Final = 3.0
"""So long nobody tells of a change: the chain's silence is looked for, and the viewer is told that we are here."""
MAX_VIEWERS: Final = 64
MAX_WAITING: Final = 1_000


class LivePage:
    """Draws once per change for all viewers. Belongs to the event loop that calls it."""

    def __init__(self, hub: Hub, renderer: Renderer) -> None:
        self._hub = hub
        self._renderer = renderer
        self._drawn: dict[str, str] = {}
        self._drawn_of: tuple[int, ChainView] | None = None
        self._drawing = asyncio.Lock()
        self._viewers = 0
        self.closing = asyncio.Event()

    async def stream(self) -> AsyncIterator[ServerSentEventMessage]:
        """The parts that differ from what this viewer has, as events `part` with {id, html}."""
        if self._viewers >= MAX_VIEWERS:
            raise Refused("rate_limited", f"{MAX_VIEWERS} pages are open on this hub already")
        self._viewers += 1
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        cancel = self._hub.board.on_change(lambda: loop.call_soon_threadsafe(changed.set))
        shown: dict[str, str] = {}
        try:
            while not self.closing.is_set():
                changed.clear()
                for name, html in (await self._parts()).items():
                    if shown.get(name) != html:
                        shown[name] = html
                        yield ServerSentEventMessage(event="part", data=json.dumps({"id": name, "html": html}))
                await asyncio.sleep(INTERVAL_S)
                if not await _happens(changed, self.closing, IDLE_S):
                    yield ServerSentEventMessage(comment="still here")
        finally:
            cancel()
            self._viewers -= 1

    async def _parts(self) -> dict[str, str]:
        async with self._drawing:
            state = (self._hub.board.version, self._hub.chain.view())  # that the chain is silent is no event
            if state != self._drawn_of:
                self._drawn = await asyncio.to_thread(self._draw, state[1])
                self._drawn_of = state
            return self._drawn

    def _draw(self, chain: ChainView) -> dict[str, str]:
        hub = self._hub
        view = overview(hub.desk.store, hub.board, chain, hub.settings.fleet, hub.desk.now_ms())
        return self._renderer.parts(view)


async def events(hub: Hub, closing: asyncio.Event) -> AsyncIterator[ServerSentEventMessage]:
    """Every event of the bus as it happens, for programs: `event` is its kind, `data` its JSON.

    A reader that is too slow loses the newest events, never the hub's memory.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[HubEvent] = asyncio.Queue(MAX_WAITING)

    def put(event: HubEvent) -> None:
        if not waiting.full():
            waiting.put_nowait(event)

    def hand_over(event: HubEvent) -> None:
        loop.call_soon_threadsafe(put, event)

    cancel = hub.desk.bus.listen(hand_over)
    try:
        while not closing.is_set():
            try:
                event = await asyncio.wait_for(waiting.get(), 1.0)
            except TimeoutError:
                continue
            yield ServerSentEventMessage(event=kind_of(event), data=msgspec.json.encode(event).decode())
    finally:
        cancel()


async def _happens(changed: asyncio.Event, closing: asyncio.Event, within_s: float) -> bool:
    """Whether either is set within the time."""
    waits = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(closing.wait())]
    try:
        done, _ = await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:  # also when the viewer goes away in the middle
        for wait in waits:
            wait.cancel()
    return bool(done)
