"""Fuzzes one target in this process, until libFuzzer's limits end it: a child of `python -m tools.fuzz`.

Usage: python -m tools.fuzz.run NAME [libFuzzer options and corpus folders]
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["chain", "fleet", "appliance"]):
    from tools.fuzz.targets import TARGETS


def main() -> None:
    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[name].work)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
