"""What the owner may have done at the console: each is one verb of the root helper, with how it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from appliance.helper.client import Asking
from chain.errors import DccnError


@dataclass(frozen=True, slots=True)
class Action:
    """`warning` is what cannot be taken back; `word` must then be typed before it is done."""

    name: str
    verb: str
    done: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    asks_pin: bool = True
    warning: str = ""
    word: str = ""


ACTIONS: Final = (
    Action("Look for an update", "look-for-update", "The updater looks now.", asks_pin=False),
    Action("Start again", "reboot", "The machine starts again.", {"reason": "the owner at the console"}),
    Action("Switch off", "power-off", "The machine switches itself off."),
    Action(
        "Factory reset",
        "factory-reset",
        "The machine starts again and wipes its data.",
        warning="All data of this machine is wiped: its keys, what waits to be sent, and its place in the fleet. "
        "Money on its own account that was not sent on is lost with its key.",
        word="WIPE",
    ),
)


def perform(helper: Asking, action: Action, pin: str | None) -> str:
    """Do it and return the sentence for the owner, whichever way it ended."""
    try:
        helper.ask(action.verb, action.arguments, pin=pin)
    except DccnError as error:
        return sorry(error)
    return action.done


def sorry(error: DccnError) -> str:
    wait = f" Wait {error.retry_after_s} s." if error.retry_after_s else ""
    return f"Not done: {error.message}.{wait or ' ' + error.remedy}"
