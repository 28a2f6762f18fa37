"""Asking the helper, for the agent, the doctor, the updater and the console."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from appliance.helper.line import END, MAX_ANSWER_BYTES, Request, read_answer, write_request
from chain.errors import Malformed, Unavailable

SOCKET: Final = Path("/run/dccn/helper.sock")
TIMEOUT_S: Final = 90.0


class Asking(Protocol):
    """What its users need of the helper's client."""

    def ask(
        self, verb: str, arguments: Mapping[str, object] | None = None, *, pin: str | None = None
    ) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Helper:
    """The helper behind a socket; `timeout_s` covers the verb's own work."""

    socket: Path = SOCKET
    timeout_s: float = TIMEOUT_S

    def ask(
        self, verb: str, arguments: Mapping[str, object] | None = None, *, pin: str | None = None
    ) -> Mapping[str, Any]:
        """The verb's answer. Raises what the helper tells (`verb_refused`, `rate_limited`, `pin_refused`, `malformed`,
        `verb_failed`), and Unavailable `unreachable` where no helper answers."""
        line = write_request(Request(verb, arguments or {}, pin))
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self.timeout_s)
                connection.connect(str(self.socket))
                connection.sendall(line)
                received = _all(connection)
        except OSError as error:
            raise Unavailable("unreachable", f"asking the helper at {self.socket} for {verb}: {error}") from None
        return read_answer(received)


def _all(connection: socket.socket) -> bytes:
    """The answer's line, or as much as came before the other end closed."""
    received = b""
    while not received.endswith(END) and (part := connection.recv(1 << 16)):
        received += part
        if len(received) > MAX_ANSWER_BYTES:
            raise Malformed("too_large", f"the helper's answer has more than {MAX_ANSWER_BYTES} bytes")
    return received
