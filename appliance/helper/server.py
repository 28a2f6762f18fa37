"""Answers on the socket: one connection, one line, one verb; all is logged with who asked and what came of it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from appliance.helper.callers import Peer, peer
from appliance.helper.caps import Caps
from appliance.helper.line import END, MAX_REQUEST_BYTES, Request, read_request, write_answer, write_error
from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Verb
from chain.errors import DccnError, Faulty, Malformed, Refused, Unavailable

READ_TIMEOUT_S: Final = 5.0
MAX_AT_ONCE: Final = 8
LINGER_S: Final = 60.0
LOOK_EVERY_S: Final = 0.5

Log = Callable[[str, Mapping[str, object]], None]


@dataclass(slots=True)
class Server:
    """Serves a listening unix socket until nobody asked for `linger_s` (systemd starts it again), or until `stop`."""

    listening: socket.socket
    verbs: Mapping[str, Verb]
    users: Mapping[int, Caller]
    machine: Machine
    caps: Caps
    log: Log
    linger_s: float = LINGER_S
    stop: threading.Event = field(default_factory=threading.Event)
    _free: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MAX_AT_ONCE), init=False)

    def run(self) -> None:
        self.listening.settimeout(LOOK_EVERY_S)
        asked_s = time.monotonic()
        threads: list[threading.Thread] = []
        while not self.stop.is_set():
            threads = [each for each in threads if each.is_alive()]
            if threads:
                asked_s = time.monotonic()
            elif time.monotonic() - asked_s > self.linger_s:
                return
            with contextlib.suppress(TimeoutError):
                connection, _ = self.listening.accept()
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                thread.start()
                threads.append(thread)
        for thread in threads:
            thread.join(READ_TIMEOUT_S)

    def _serve(self, connection: socket.socket) -> None:
        # A caller that went away, or that sends nothing, costs a thread for a few seconds and nothing else.
        with connection, contextlib.suppress(OSError):
            connection.settimeout(READ_TIMEOUT_S)
            try:
                answer = self._answer(connection)
            except DccnError as error:
                answer = write_error(error)
            connection.sendall(answer)

    def _answer(self, connection: socket.socket) -> bytes:
        asking = request = None
        try:
            # Read first, whoever it is: an answer to a line that nobody read would be lost with the connection.
            line = _line(connection)
            asking = peer(connection, self.users)
            request = read_request(line)
            if not self._free.acquire(blocking=False):
                raise Unavailable("unreachable", f"asking the helper more than {MAX_AT_ONCE} things at once")
            try:
                answer = write_answer(self._do(asking, request))
            finally:
                self._free.release()
        except DccnError as error:
            self._note(asking, request, error.code, error.message)
            raise
        except Exception as error:
            self._note(asking, request, "internal", f"{type(error).__name__}: {error}")
            raise Faulty("internal", f"doing {request.verb if request else 'what was asked'}") from error
        self._note(asking, request, "ok", "")
        return answer

    def _do(self, asking: Peer, request: Request) -> Mapping[str, object]:
        verb = self.verbs.get(request.verb)
        if verb is None:
            raise Refused("verb_refused", f"asking for {request.verb[:40]!r}, which the helper does not know")
        if asking.caller not in verb.callers:
            raise Refused("verb_refused", f"asking for {verb.name} as {asking.caller}")
        arguments = verb.read(request.arguments)
        now_ms = self.machine.now_ms()
        if verb.asks_pin and asking.caller is Caller.console:
            self.machine.pin.check(request.pin or "", now_ms)
        self.caps.take(asking.caller, verb, now_ms)
        return verb.do(arguments, self.machine)

    def _note(self, asking: Peer | None, request: Request | None, outcome: str, reason: str) -> None:
        who: dict[str, object] = {"caller": "unknown"}
        if asking is not None:
            who = {"caller": str(asking.caller), "uid": asking.uid, "pid": asking.pid}
        what: dict[str, object] = {}
        if request is not None:
            shown = {name: value for name, value in request.arguments.items() if name != "pin"}
            what = {"verb": request.verb[:40], "arguments": shown}
        self.log("verb", {**who, **what, "outcome": outcome, "reason": reason})


def _line(connection: socket.socket) -> bytes:
    """All up to the first end of a line; `too_large` as soon as there is more than a request may have."""
    received = b""
    while END not in received:
        try:
            part = connection.recv(MAX_REQUEST_BYTES + 1 - len(received))
        except TimeoutError:
            raise Malformed("malformed", f"no whole line came within {READ_TIMEOUT_S:.0f} s") from None
        if not part:
            raise Malformed("malformed", "the connection ended before the line did")
        received += part
        if len(received) > MAX_REQUEST_BYTES:
            raise Malformed("too_large", f"the line has more than {MAX_REQUEST_BYTES} bytes")
    return received
