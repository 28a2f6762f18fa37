"""Who is at the other end of a socket: the kernel says, and a table of users says what that means here."""

from __future__ import annotations

import pwd
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from appliance.helper.verb import Caller
from chain.errors import Refused

USERS: Final = {
    "root": Caller.root,
    "dccn-agent": Caller.agent,
    "dccn-console": Caller.console,
    "dccn-doctor": Caller.doctor,
    "dccn-button": Caller.button,
}
"""The users of the image's units (sysusers.d/dccn.conf)."""
_UCRED: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """A process that asks."""

    pid: int
    uid: int
    caller: Caller


def known_users(users: Mapping[str, Caller] = USERS) -> dict[int, Caller]:
    """The callers by uid; users that this machine does not have are left out."""
    found: dict[int, Caller] = {}
    for name, caller in users.items():
        try:
            found[int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid] = caller
        except KeyError:
            continue
    return found


def peer(connection: socket.socket, users: Mapping[int, Caller]) -> Peer:
    """Refused `verb_refused` for a user who may ask nothing."""
    pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    if uid not in users:
        raise Refused("verb_refused", f"asking the helper as user {uid}")
    return Peer(pid, uid, users[uid])
