"""Usage: python -m tools.engines [cometbft] [k3s] [kubernetes]

Prints the path of each engine on stdout, progress on stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from chain.errors import DccnError
from tools.engines import cometbft, k3s, kubernetes

ENGINES = {"cometbft": cometbft.install, "k3s": k3s.install, "kubernetes": kubernetes.install}


def main(arguments: list[str]) -> int:
    names = arguments or sorted(ENGINES)
    unknown = [name for name in names if name not in ENGINES]
    if unknown:
        print(f"unknown engine {unknown[0]!r}; known: {', '.join(sorted(ENGINES))}", file=sys.stderr)
        return 2
    for name in names:
        try:
            print(ENGINES[name](_say(name)), flush=True)
        except DccnError as error:
            print(f"{name}: {error}. {error.remedy}", file=sys.stderr)
            return error.exit_code
    return 0


def _say(name: str) -> Callable[[str], None]:
    return lambda line: print(f"{name}: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
