"""`python3 -m appliance.helper ['{"state": "…"}']`: serves the socket that systemd passes, or the one named.

Settings, all optional: `state` (folder), `socket` (path, where systemd passes none), `users` (name or uid → caller),
`programs` (search path), `config` (block device or image file), `written_pin` (path), `linger_s`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from appliance.helper.callers import USERS, known_users
from appliance.helper.caps import Caps
from appliance.helper.machine import PROGRAMS, Machine
from appliance.helper.pin import Pin
from appliance.helper.server import LINGER_S, Server
from appliance.helper.verb import Caller
from appliance.helper.verbs import VERBS
from chain.errors import DccnError, Faulty, Malformed
from chain.signals import call_on

FIRST_PASSED_FD: Final = 3


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    state: str = "/var/lib/dccn-helper"
    socket: str | None = None
    users: dict[str, Caller] = msgspec.field(default_factory=lambda: dict(USERS))
    programs: str = PROGRAMS
    config: str = "/dev/disk/by-partlabel/DCCNCFG"
    written_pin: str = "/run/dccn/console-pin"
    linger_s: float = LINGER_S


def main(arguments: list[str]) -> int:
    try:
        settings = _settings(arguments)
        server = _server(settings)
    except DccnError as error:
        print(f"dccn: {error} {error.remedy}", file=sys.stderr)
        return error.exit_code
    call_on(server.stop.set, signal.SIGTERM, signal.SIGINT)
    with server.listening:
        server.run()
    return 0


def _settings(arguments: list[str]) -> Settings:
    try:
        return msgspec.json.decode(arguments[0], type=Settings) if arguments else Settings()
    except msgspec.MsgspecError as error:
        raise Malformed("usage", f"give the settings as one JSON object: {error}") from None


def _server(settings: Settings) -> Server:
    state = Path(settings.state)
    pin = Pin(state / "pin.json", Path(settings.written_pin))
    machine = Machine(pin, lambda: time.time_ns() // 1_000_000, settings.programs, Path(settings.config))
    return Server(
        _listening(settings.socket),
        {verb.name: verb for verb in VERBS},
        known_users(settings.users),
        machine,
        Caps(state / "caps.json"),
        _log,
        settings.linger_s,
    )


def _listening(path: str | None) -> socket.socket:
    """The socket that systemd bound, as sd_listen_fds(3) passes it; one of our own where a path is named."""
    if path is None:
        if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
            raise Malformed("usage", "no socket was passed: start dccn-helper.socket, or name a path")
        return socket.socket(fileno=FIRST_PASSED_FD)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    beside = Path(f"{path}.new")
    try:
        beside.unlink(missing_ok=True)
        made.bind(str(beside))
        # The users in the table decide here; dccn-helper.socket also has a group, which they all have.
        beside.chmod(0o666)
        made.listen()
        beside.replace(path)  # whoever sees it can connect
    except OSError as error:
        raise Faulty("home_invalid", f"listening at {path}: {error.strerror}") from None
    return made


def _log(event: str, fields: Mapping[str, object]) -> None:
    print(msgspec.json.encode({"event": event, **fields}).decode(), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
