"""`python3 -m appliance.agent.workloads drain SECONDS | resume | ready`: what units of the image do with the node."""

from __future__ import annotations

import sys

from appliance.agent.workloads import node
from appliance.agent.workloads.cluster import Cluster
from chain.errors import DccnError

USAGE = "usage: python3 -m appliance.agent.workloads drain SECONDS | resume | ready"


def main(arguments: list[str]) -> int:
    """The exit status: 0 when it is done, 1 when not (with the reason on stderr), 2 for wrong usage."""
    try:
        match arguments:
            case ["drain", seconds] if seconds.isdecimal():
                return _drain(float(seconds))
            case ["resume"]:
                node.reopen(Cluster())
            case ["ready"]:
                state = node.node_ready(Cluster())
                print(f"{state.node} {state.version}: {'ready' if state.is_ready else state.reason}")
                return 0 if state.is_ready else 1
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except DccnError as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _drain(timeout_s: float) -> int:
    drained = node.drain(Cluster(), timeout_s=timeout_s)
    print(f"{len(drained.gone)} pods went")
    if drained.left:
        print(f"still here after {timeout_s:.0f} s: {', '.join(drained.left)}", file=sys.stderr)
    return 1 if drained.left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
