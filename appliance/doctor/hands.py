"""The doctor's hands: the root helper's verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chain.errors import Unavailable


@dataclass(frozen=True, slots=True)
class HelperHands:
    """`ask` sends one verb to the helper and raises DccnError; `uuids` are the cards' by their PCI addresses."""

    ask: Callable[[str, Mapping[str, object]], Mapping[str, Any]]
    uuids: Mapping[str, str]

    def do(self, verb: str, **arguments: Any) -> str:
        answer = self.ask(verb, arguments)
        return str(answer.get("said") or f"{verb} {' '.join(str(each) for each in arguments.values())}".strip())

    def uuid(self, card: str) -> str:
        """Raises Unavailable `repair_unavailable` for a card that was never seen well."""
        if card not in self.uuids:
            raise Unavailable("repair_unavailable", f"looking up the UUID of the card {card}, which never answered")
        return self.uuids[card]
