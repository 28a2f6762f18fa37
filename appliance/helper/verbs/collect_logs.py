"""collect-logs: the last lines of the journal, of the whole machine, the kernel or one unit."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from appliance.helper.machine import Machine
from appliance.helper.verb import Verb

MAX_BYTES: Final = 128 * 1024
MAX_LINE: Final = 500


class Arguments(msgspec.Struct, forbid_unknown_fields=True):
    """`of` is `all`, `kernel`, or a unit's name."""

    of: Literal["all", "kernel"] | Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9@-]{0,60}\.service\Z")] = (
        "all"
    )
    lines: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 200


def _do(arguments: Arguments, machine: Machine) -> dict[str, object]:
    chosen = {"all": (), "kernel": ("--dmesg",)}.get(arguments.of, (f"--unit={arguments.of}",))
    options = ("--no-pager", "--quiet", "--output=short-iso", f"--lines={arguments.lines}")
    text = machine.run("journalctl", *options, *chosen).decode("utf-8", "replace")
    lines = [line[:MAX_LINE] for line in text.splitlines()]
    while lines and sum(len(line.encode()) + 4 for line in lines) > MAX_BYTES:
        lines = lines[len(lines) // 8 + 1 :]
    return {"lines": lines}


VERB: Final = Verb("collect-logs", Arguments, _do, per_hour=1800)
