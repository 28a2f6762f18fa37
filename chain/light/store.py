"""Where a light client keeps the headers that it believes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from chain import files
from chain.errors import DccnError
from chain.light.step import TrustedState
from chain.wire.rpc_json import (
    signed_header_from_json,
    signed_header_to_json,
    validator_set_from_json,
    validator_set_to_json,
)

KEPT_MAX = 64


class TrustStore(Protocol):
    """Trusted states, one per height; bounded, so old ones may be forgotten."""

    def put(self, state: TrustedState) -> None: ...

    def states(self) -> list[TrustedState]:
        """By ascending height."""
        ...


class MemoryTrustStore:
    """The last KEPT_MAX states in memory; when full, the second oldest goes, so that the first anchor stays."""

    def __init__(self) -> None:
        self._states: dict[int, TrustedState] = {}

    def put(self, state: TrustedState) -> None:
        self._states[state.height] = state
        if len(self._states) > KEPT_MAX:
            del self._states[sorted(self._states)[1]]

    def states(self) -> list[TrustedState]:
        return [self._states[height] for height in sorted(self._states)]


class FileTrustStore(MemoryTrustStore):
    """Also writes the newest state to a JSON file, at most once per `every_heights`, to spare the disk.

    A file that is damaged is treated as none: the client then starts from its configured trusted height again.
    """

    def __init__(self, path: Path, every_heights: int = 100) -> None:
        super().__init__()
        self._path = path
        self._every_heights = every_heights
        self._written_height = -every_heights
        state = _read(path)
        if state is not None:
            self._written_height = state.height
            super().put(state)

    def put(self, state: TrustedState) -> None:
        super().put(state)
        if state.height >= self._written_height + self._every_heights:
            _write(self._path, state)
            self._written_height = state.height


def _read(path: Path) -> TrustedState | None:
    try:
        document = json.loads(path.read_bytes())
        signed_header = signed_header_from_json(document["signed_header"])
        return TrustedState(signed_header, validator_set_from_json(document["next_validator_set"]))
    except (OSError, ValueError, KeyError, TypeError, DccnError):
        return None


def _write(path: Path, state: TrustedState) -> None:
    document = {
        "signed_header": signed_header_to_json(state.signed_header),
        "next_validator_set": validator_set_to_json(state.next_validators),
    }
    files.replace(path, json.dumps(document).encode(), mode=files.PUBLIC_MODE)
