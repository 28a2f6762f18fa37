"""The owner's panel: a list of what may be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from appliance.console.actions import Action


class Owner(OptionList):
    """Arrows choose, Enter asks."""

    @dataclass
    class Chosen(Message):
        action: Action

    def __init__(self, actions: Sequence[Action], *, id: str) -> None:  # noqa: A002 (Textual's name for it)
        super().__init__(*(Option(action.name) for action in actions), id=id, markup=False)
        self._actions = actions

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Chosen(self._actions[event.option_index]))
