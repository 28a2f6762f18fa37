"""The two commands of a PoG round, sent to one device each."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.hub.commander import Commander
from fleet.protocol.topics import COMMAND_POG, COMMAND_POG_OPEN


class PogCommands:
    """Sends challenges and requests to open."""

    def __init__(self, commander: Commander) -> None:
        self._commander = commander

    def challenge(self, device: bytes, challenge_height: int, profile: str, left_ms: int) -> None:
        """Compute now: the beacon is that of `challenge_height`, `left_ms` are left of the window that it opened."""
        self._commander.send(COMMAND_POG, device, "pog", [challenge_height, profile, left_ms], left_ms)

    def open_rows(
        self,
        device: bytes,
        challenge_height: int,
        commit_height: int,
        index: int,
        count: int,
        path: Sequence[bytes],
        valid_ms: int,
    ) -> None:
        """Show the rows drawn by the beacon after `commit_height`; index and path lead to the root in that block."""
        body = [challenge_height, commit_height, index, count, list(path)]
        self._commander.send(COMMAND_POG_OPEN, device, "pog-open", body, valid_ms)
