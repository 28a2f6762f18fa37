"""Fuzzes every target, or those named, each for so many seconds; exits 1 when one broke a promise.

What was found before is kept in ~/.cache/dccn/fuzz and is where the next run begins. An input that breaks something is
written beside it, printed in hex, and belongs into a test.

Usage: python -m tools.fuzz [--seconds N] [NAME ...]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

from chain.engines.cometbft.binary import cache
from tools.fuzz.targets import TARGETS

MEMORY_MIB = 2_048
INPUT_SECONDS = 10
INPUT_BYTES = 8_192
_DONE = re.compile(r"Done (\d+) runs")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools.fuzz")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)}")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - set(TARGETS))
    if unknown:
        parser.error(f"no target is called {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    broken = [name for name in chosen.names or TARGETS if not fuzzed(name, chosen.seconds)]
    if broken:
        print(f"fuzz: broken: {', '.join(broken)}", file=sys.stderr)
    return int(bool(broken))


def fuzzed(name: str, seconds: int) -> bool:
    """Whether the target kept its promises for so long."""
    folder = cache() / "fuzz" / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [
        f"-max_total_time={seconds}",
        f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-max_len={INPUT_BYTES}",
    ]
    command = [sys.executable, "-m", "tools.fuzz.run", name, *limits, f"-artifact_prefix={folder}/", str(corpus)]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = ended.stdout + ended.stderr
    done = _DONE.search(said)
    print(f"{name:<16} {done[1] if done else '?':>9} inputs, {len(list(corpus.iterdir())):>5} kept", flush=True)
    if ended.returncode == 0:
        return True
    for artifact in sorted(folder.glob("*-*")):
        print(f"  {artifact}: {artifact.read_bytes()[:200].hex()}", file=sys.stderr)
    print("\n".join(f"  {line}" for line in said.splitlines()[-30:]), file=sys.stderr)
    return False


if __name__ == "__main__":
    sys.exit(main())
