"""Obeying the hub, and nobody else: commands are checked, counted, and obeyed once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from appliance.agent.answer import Enrolment
from appliance.agent.clock import Clock
from appliance.agent.files import read_json, write_json
from appliance.agent.identity import Identity
from chain.errors import Faulty, Malformed
from chain.proofs.commands import Command, CommandGate

FILE_FIELD = "highest_version"

Handler = Callable[[Command], None]


class Commands:
    """The gate that every command passes. The highest version is on the disk before the command is obeyed."""

    def __init__(self, path: Path, identity: Identity, clock: Clock, enrolment: Enrolment) -> None:
        self._path = path
        self._identity = identity
        self._clock = clock
        self._lock = threading.Lock()
        self._handlers: dict[str, Handler] = {}
        self._version = _stored_version(path)
        self.adopt(enrolment)

    @property
    def version(self) -> int:
        """The highest version that was obeyed, 0 before the first command."""
        return self._version

    def adopt(self, enrolment: Enrolment) -> None:
        """From now on the command key of this (renewed) enrolment commands."""
        answer = enrolment.answer
        key = enrolment.command_key
        self._gate = CommandGate(answer.fleet, self._identity.device, key.public, key.not_after_ms, answer.chain_id)

    def on(self, kind: str, handler: Handler) -> None:
        """Let `handler` obey commands of this kind; it runs in the connection's thread and must return at once."""
        self._handlers[kind] = handler

    def receive(self, envelope: bytes) -> None:
        """Check a command, take note of its version and obey it. Raises Malformed, or Refused `command_invalid`."""
        with self._lock:
            command = self._gate.open(envelope, now_ms=self._clock.now_ms(), last_version=self._version)
            handler = self._handlers.get(command.kind)
            if handler is None:
                raise Malformed("malformed", f"this agent knows no command {command.kind!r}")
            write_json(self._path, {FILE_FIELD: command.version})
            self._version = command.version
        handler(command)


def _stored_version(path: Path) -> int:
    if not path.exists():
        return 0
    document = read_json(path)
    version = document.get(FILE_FIELD) if isinstance(document, dict) else None
    if not isinstance(version, int) or version < 0:
        raise Faulty("home_invalid", f"{path} does not say which command was the last one")
    return version
