"""The console on tty1 and on a serial line: a Textual program of panels, and the few things that an owner may do.

It is no way in: it starts no program and opens no file that it is told, text from outside is never markup, and what it
asks the root helper for is on a fixed list. `python -m appliance.console.app FOLDER` runs it on the terminal at stdin,
and writes one byte to stdout whenever it has drawn, so that its parent knows that it lives.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import ContentSwitcher, Static

from appliance.console.actions import ACTIONS, Action, perform, sorry
from appliance.console.dialogs import Confirm, NewPin, Pin
from appliance.console.facts import State, gather
from appliance.console.machine import look as look_at_machine
from appliance.console.owner import Owner
from appliance.console.panels import PANELS, Look, headline, logs
from appliance.console.plain import plain
from appliance.helper.client import Asking, Helper
from chain.errors import DccnError

LOOK_EVERY_S: Final = 2.0
LOG_LINES: Final = 200
NAMES: Final = (*(name for name, _ in PANELS), "Logs", "Owner")
HEALTH, CLAIM, LOGS, OWNER = (NAMES.index(name) for name in ("Health", "Claim", "Logs", "Owner"))
# Only what the fonts of the kernel's and of any serial terminal have: no rounded corners, sixteen colours.
CSS: Final = """
Screen { background: ansi_black; color: ansi_white; }
#title { background: ansi_blue; color: ansi_bright_white; text-style: bold; height: 1; }
#headline { height: auto; max-height: 4; padding: 1 1 0 1; color: ansi_bright_white; text-style: bold; }
#tabs, #said { height: 1; padding: 0 1; }
#tabs { margin-top: 1; }
#said { color: ansi_bright_yellow; }
ContentSwitcher { height: 1fr; }
VerticalScroll { padding: 1 1; scrollbar-size-vertical: 1; }
VerticalScroll:focus { background: ansi_black; }
OptionList, OptionList:focus { border: none; background: ansi_black; padding: 1 1; height: 1fr; }
"""


class Console(App[None]):
    """`look` gathers what is shown, `helper` does what the owner asks for; `beat` is called after every look."""

    CSS = CSS
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"show({number - 1})", show=False) for number in range(1, len(NAMES) + 1)),
        Binding("left", "turn(-1)", show=False),
        Binding("right,tab", "turn(1)", show=False, priority=True),
        # Textual's own ways out lead nowhere.
        Binding("ctrl+q,ctrl+c,ctrl+z,ctrl+d,ctrl+backslash", "nothing", show=False, priority=True),
    ]

    def __init__(self, look: Callable[[], Look], helper: Asking, beat: Callable[[], None] = lambda: None) -> None:
        super().__init__(ansi_color=True)
        self._look = look
        self._helper = helper
        self._beat = beat
        self._shown = HEALTH
        self._waits_for_owner = False

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield Static(id="headline", markup=False)
        yield Static(id="tabs", markup=False)
        with ContentSwitcher(initial="panel-0"):
            for number in range(OWNER):
                with VerticalScroll(id=f"panel-{number}"):
                    yield Static(id=f"text-{number}", markup=False)
            yield Owner(ACTIONS, id=f"panel-{OWNER}")
        yield Static(id="said", markup=False)

    def on_mount(self) -> None:
        self.action_show(HEALTH)
        self.set_interval(LOOK_EVERY_S, self.refresh_look)
        self.refresh_look()

    def refresh_look(self) -> None:
        now = self._look()
        self.query_one("#title", Static).update(plain(f" dccn  {now.facts.hostname}.local"))
        self.query_one("#headline", Static).update(headline(now))
        for number, (_, say) in enumerate(PANELS):
            self.query_one(f"#text-{number}", Static).update(say(now))
        if self._shown == LOGS:
            self.read_logs()
        self.follow(now.facts.state is State.claim)
        self._beat()

    def follow(self, waits_for_owner: bool) -> None:
        """Who stands before a machine that waits for its owner wants the code, and presses no key for it."""
        if waits_for_owner != self._waits_for_owner and len(self.screen_stack) == 1:
            self._waits_for_owner = waits_for_owner
            if waits_for_owner or self._shown == CLAIM:
                self.action_show(CLAIM if waits_for_owner else HEALTH)

    def action_show(self, number: int) -> None:
        """Show a panel and give it the keys: arrows scroll, or choose among the owner's actions."""
        self._shown = number
        self.query_one(ContentSwitcher).current = f"panel-{number}"
        marks = (f"[{n + 1} {name}]" if n == number else f" {n + 1} {name} " for n, name in enumerate(NAMES))
        self.query_one("#tabs", Static).update("".join(marks))
        self.query_one(f"#panel-{number}").focus()
        self.say("")
        if number == LOGS:
            self.read_logs()

    def action_turn(self, step: int) -> None:
        if len(self.screen_stack) == 1:
            self.action_show((self._shown + step) % len(NAMES))

    def action_nothing(self) -> None:
        return None

    def say(self, text: str) -> None:
        self.query_one("#said", Static).update(plain(text))

    @work(thread=True, exclusive=True, group="logs")
    def read_logs(self) -> None:
        try:
            found = self._helper.ask("collect-logs", {"lines": LOG_LINES})["lines"]
            lines = tuple(str(each) for each in found)
        except DccnError as error:
            lines = (sorry(error),)
        self.call_from_thread(self.show_logs, lines)

    def show_logs(self, lines: tuple[str, ...]) -> None:
        """The newest lines are in sight, unless somebody scrolled up to read older ones."""
        panel = self.query_one(f"#panel-{LOGS}", VerticalScroll)
        follows = panel.scroll_offset.y >= panel.max_scroll_y
        self.query_one(f"#text-{LOGS}", Static).update(logs(lines))
        if follows:
            panel.scroll_end(animate=False)

    async def on_owner_chosen(self, message: Owner.Chosen) -> None:
        self.ask_for(message.action)

    @work
    async def ask_for(self, action: Action) -> None:
        """Through the dialogs that the action wants, to the helper, to what is said about it."""
        if action.warning and not await self.push_screen_wait(Confirm(action)):
            self.say("Nothing was done.")
            return
        pin = None
        if action.asks_pin:
            pin = await self._pin(action)
            if pin is None:
                return
        self.say(f"{action.name}…")
        self.perform(action, pin)

    async def _pin(self, action: Action) -> str | None:
        """The owner's PIN as typed now; at the first use, the one that becomes it."""
        try:
            state = await asyncio.to_thread(self._helper.ask, "pin-state")
            if state.get("is_set"):
                return await self.push_screen_wait(Pin(action.name))
            chosen = await self.push_screen_wait(NewPin())
            if chosen is not None:
                await asyncio.to_thread(self._helper.ask, "set-pin", {"pin": chosen})
            return chosen
        except DccnError as error:
            self.say(sorry(error))
            return None

    @work(thread=True)
    def perform(self, action: Action, pin: str | None) -> None:
        self.call_from_thread(self.say, perform(self._helper, action, pin))


def main(folder: Path) -> None:
    """On the terminal at stdin, until it is killed."""

    def look() -> Look:
        return Look(gather(folder), look_at_machine())

    Console(look, Helper(), beat=lambda: void(os.write(1, b"."))).run(mouse=False)


def void(_result: object) -> None:
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
