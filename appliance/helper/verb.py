"""One thing that the helper does: what it is called, what it takes, who may ask, and how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from appliance.helper.machine import Machine
from chain.errors import Malformed


class Caller(StrEnum):
    """Who asks, known by the user that the kernel names at the other end of the socket."""

    root = "root"
    agent = "agent"
    console = "console"
    doctor = "doctor"
    button = "button"


ANYBODY = frozenset(Caller) - {Caller.button}


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A verb without arguments."""


@dataclass(frozen=True, slots=True)
class Verb:
    """`do` gets the checked arguments and gives the answer. `per_hour` counts each caller by itself, failures too.

    `asks_pin`: the console, which stands where anybody may stand, must give the owner's PIN with it.
    """

    name: str
    arguments: type[msgspec.Struct]
    do: Callable[[Any, Machine], Mapping[str, object]]
    per_hour: int
    callers: frozenset[Caller] = ANYBODY
    asks_pin: bool = False

    def read(self, arguments: Mapping[str, Any]) -> msgspec.Struct:
        """The arguments by the verb's schema; Malformed when one is missing, unknown or of another kind."""
        try:
            return msgspec.convert(arguments, self.arguments, strict=True)
        except msgspec.ValidationError as error:
            raise Malformed("malformed", f"the arguments of {self.name}: {error}") from None
