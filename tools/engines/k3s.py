"""k3s, the Kubernetes of the appliance, and its images: as released, checked against `artifacts.lock`.

Where the release host does not answer, Kubernetes of the same minor version is built in its place. k3s itself cannot
be: its go.mod replaces some seventy modules by forks, its program unpacks files that its own scripts make, and the
module proxies do not serve it.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from appliance.image import artifacts
from chain.engines.cometbft.binary import cache
from chain.errors import DccnError, Faulty
from tools.engines import kubernetes

ANSWER_TIMEOUT_S = 60
Say = Callable[[str], None]


def install(say: Say) -> Path:
    """The path of the pinned k3s, or that of the Kubernetes in its place.

    Raises Unavailable `engine_missing` when neither can be had here.
    """
    target = binary()
    if works(target):
        return target
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return kubernetes.install(say)
    try:
        found = artifacts.gather({"k3s"}, cache() / "artifacts", say=say, fetching=True)
    except DccnError as error:
        say(f"{error.message}\nno release of k3s from here; Kubernetes {kubernetes.VERSION} stands in for it")
        return kubernetes.install(say)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    shutil.copyfile(next(path for artifact, path in found.items() if artifact.name == "k3s"), unfinished)
    unfinished.chmod(0o755)
    unfinished.replace(target)
    if not works(target):
        raise Faulty("engine_missing", f"{target} does not run, or does not report {version()}")
    return target


def version() -> str:
    """The pinned version, such as `v1.35.8+k3s1`."""
    return next(each.version for each in artifacts.read() if each.name == "k3s")


def binary() -> Path:
    """Where the pinned k3s is, or will be."""
    return cache() / "engines" / f"k3s-{version()}" / "k3s"


def works(path: Path) -> bool:
    """Whether the program at `path` runs and is the pinned version."""
    if not path.is_file():
        return False
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.returncode == 0 and version() in answer.stdout.split()
