"""Kubernetes of the minor version of our k3s, built: the API server that the tests of workloads speak to.

`tools/kubernetes` pins the modules and puts etcd, apiserver, controller manager, scheduler and kubelet into one file.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from chain.engines.cometbft.binary import cache
from chain.errors import Faulty
from tools.engines import golang

VERSION = "1.35.4"
"""As in `tools/kubernetes/go.mod`."""

MODULE = Path(__file__).parents[1] / "kubernetes"
MINIMUM_GO = (1, 25)
SHORT_HASH = 12
ANSWER_TIMEOUT_S = 60

Say = Callable[[str], None]


def install(say: Say) -> Path:
    """The path of a working binary of this recipe, built with this machine's Go or one brought into the cache.

    Raises Unavailable `engine_missing` when no build is possible here.
    """
    target = binary()
    if works(target):
        return target
    go = golang.find(cache() / "go-toolchain", say, MINIMUM_GO)
    say("building, which takes five to fifteen minutes once")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fresh = Path(folder) / target.name
        golang.build(go, MODULE, fresh, _stamp(), say)
        if not works(fresh):
            raise Faulty("engine_missing", f"what was built at {fresh} does not report v{VERSION}")
        fresh.replace(target)
    say(f"ready: {target}")
    return target


def binary() -> Path:
    """Where the binary of this recipe is, or will be."""
    recipe = hashlib.sha256()
    for path in sorted(MODULE.iterdir()):
        recipe.update(path.read_bytes())
    return cache() / "engines" / f"kubernetes-{VERSION}-{recipe.hexdigest()[:SHORT_HASH]}" / "kubernetes"


def works(path: Path) -> bool:
    """Whether the program at `path` runs and is of the pinned version."""
    if not path.is_file():
        return False
    command = [path, "kube-apiserver", "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.returncode == 0 and f"v{VERSION}" in answer.stdout.split()


def _stamp() -> list[str]:
    """Linker flags that tell the programs which version they are."""
    major, minor, _ = VERSION.split(".")
    values = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor}
    return [f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items()]
