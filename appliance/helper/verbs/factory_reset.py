"""factory-reset: leave the mark that makes the next boot wipe the data partition, and start that boot."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from appliance.helper.machine import Machine
from appliance.helper.verb import Caller, Verb
from appliance.reset.mark import ASKED


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    """When a hub asked for it: its nonce (32 hex digits) and the chain. What the reset leaves has both."""

    nonce: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")] | None = None
    chain: Annotated[str, msgspec.Meta(pattern=r"\A[!-~]{1,64}\Z")] | None = None


def _do(arguments: Arguments, machine: Machine) -> dict[str, object]:
    asked = f"{arguments.nonce} {arguments.chain}" if arguments.nonce and arguments.chain else "by the helper"
    machine.run("mcopy", "-n", "-o", "-i", str(machine.config), "-", f"::/{ASKED[0]}", stdin=f"{asked}\n".encode())
    machine.run("systemctl", "--no-block", "reboot")
    return {}


VERB: Final = Verb(
    "factory-reset",
    Arguments,
    _do,
    per_hour=2,
    callers=frozenset({Caller.root, Caller.agent, Caller.console, Caller.button}),
    asks_pin=True,
)
