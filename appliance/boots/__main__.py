"""`python -m appliance.boots begin` and `… judge SECONDS`: the work of `dccn-boot.service` and `dccn-healthy.service`.

`judge` ends with 1 for a system that should not be kept; what follows from it `dccn-fall-back.service` decides.
"""

from __future__ import annotations

import sys

from appliance.boots.assessment import Assessment
from appliance.boots.checks import run_program
from appliance.boots.firmware import keep_entries


def main(arguments: list[str]) -> int:
    match arguments:
        case ["begin"]:
            return _begin(Assessment())
        case ["judge", seconds] if seconds.isdecimal():
            return _judge(Assessment(deadline_s=int(seconds)))
    print("usage: python -m appliance.boots begin|judge SECONDS", file=sys.stderr)
    return 2


def _begin(assessment: Assessment) -> int:
    found = assessment.begin()
    if found.fallback is not None:
        print(f"version {found.fallback.version} was given up: {found.fallback.reason}")
    partition = assessment.loader.boot_partition()
    for fault in keep_entries(partition, run_program) if partition is not None else ():
        print(f"firmware: {fault}")
    return 0


def _judge(assessment: Assessment) -> int:
    boot = assessment.judge()
    print(f"version {boot.version} is {boot.outcome}{': ' if boot.reasons else ''}{'; '.join(boot.reasons)}")
    return 1 if boot.reasons else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
