"""The console's questions: is it meant, what is the PIN, what shall the PIN be. Escape answers none of them."""

from __future__ import annotations

from typing import ClassVar, Final, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from appliance.console.actions import Action

MAX_PIN: Final = 12
MIN_PIN: Final = 4
Answer = TypeVar("Answer")


class Question(ModalScreen[Answer], Generic[Answer]):
    """A box with lines of text, one field and one line for what is wrong with it."""

    DEFAULT_CSS = """
    Question { align: center middle; background: ansi_black; }
    Question > Vertical { width: 64; max-width: 100%; height: auto; max-height: 100%; border: solid ansi_white;
        background: ansi_black; padding: 0 1; }
    Question Static { height: auto; margin-bottom: 1; }
    Question Input, Question Input:focus { border: none; height: 1; padding: 0; background: ansi_blue;
        color: ansi_bright_white; }
    Question #wrong { color: ansi_bright_yellow; margin-top: 1; margin-bottom: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, text: str, field: Input) -> None:
        super().__init__()
        self._text = text
        self._field = field

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._text, markup=False)
            yield self._field
            yield Static("Enter goes on, Esc leaves.", id="wrong", markup=False)

    def on_mount(self) -> None:
        self._field.focus()

    def wrong(self, text: str) -> None:
        self.query_one("#wrong", Static).update(text)
        self._field.value = ""

    def action_leave(self) -> None:
        self.dismiss(None)


class Confirm(Question[bool]):
    """True when the owner typed the action's word."""

    def __init__(self, action: Action) -> None:
        super().__init__(f"{action.warning}\n\nType {action.word} to go on.", Input(max_length=12))
        self._word = action.word

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value == self._word:
            self.dismiss(True)
        else:
            self.wrong(f"That is not {self._word}. Esc leaves.")


class Pin(Question[str]):
    """The PIN that was typed."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: type the owner's PIN.", _digits())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if len(event.value) < MIN_PIN:
            self.wrong(f"A PIN has {MIN_PIN} to {MAX_PIN} digits.")
        else:
            self.dismiss(event.value)


class NewPin(Question[str]):
    """A PIN that was typed twice."""

    def __init__(self) -> None:
        text = (
            f"This machine has no owner's PIN yet. Choose one of {MIN_PIN} to {MAX_PIN} digits: it is asked for "
            "whenever something is to be done here."
        )
        super().__init__(text, _digits())
        self._first: str | None = None

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if len(event.value) < MIN_PIN:
            self.wrong(f"A PIN has {MIN_PIN} to {MAX_PIN} digits.")
        elif self._first is None:
            self._first = event.value
            self.wrong("Type it once more.")
        elif event.value == self._first:
            self.dismiss(event.value)
        else:
            self._first = None
            self.wrong("The two were not the same: type the new PIN.")


def _digits() -> Input:
    return Input(password=True, restrict=r"[0-9]*", max_length=MAX_PIN)
