"""CometBFT, the engine of every network of more than one machine: release archive where it can be had, else built.

The release is checked against the checksum file published beside it; the build is checked against the module's hash
below, which Go's checksum database records too. The smoke test in tests/tools starts what this brings.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import urllib3

from chain.errors import Faulty, Unavailable
from tools.engines import golang

VERSION = "0.38.26"
MODULE = "github.com/cometbft/cometbft"
MODULE_HASH = "h1:MIPYgOSvyyiN1jo3SZljKy4ZXqs896aQnj3pQFfUmaE="
RELEASES = f"https://{MODULE}/releases/download/v{VERSION}"
# Not a constant per architecture: releases are checked against the checksum file published beside them, over TLS.
CHECKSUMS = f"SHA256SUMS-{VERSION}.txt"

CONNECT_TIMEOUT_S = 6.0
READ_TIMEOUT_S = 30.0
MAX_ARCHIVE_BYTES = 200 * 1024 * 1024
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}

Say = Callable[[str], None]


def cache() -> Path:
    """Where engines live: $DCCN_CACHE, else ~/.cache/dccn."""
    return Path(os.environ.get("DCCN_CACHE") or Path.home() / ".cache" / "dccn")


def binary() -> Path:
    """Where the pinned binary is, or will be."""
    return cache() / "engines" / f"cometbft-{VERSION}" / "cometbft"


def install(say: Say) -> Path:
    """The path of a working pinned binary, brought here first if it is missing.

    Raises Unavailable("engine_missing") when neither the release nor a build is possible here.
    """
    target = binary()
    if works(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fresh = _from_release(Path(folder), say) or _from_source(Path(folder), say)
        if not works(fresh):
            raise Faulty("engine_missing", f"the CometBFT brought to {fresh} does not report version {VERSION}")
        fresh.replace(target)
    say(f"ready: {target}")
    return target


def works(path: Path) -> bool:
    """Whether the program at `path` runs and is the pinned version."""
    if not path.is_file():
        return False
    try:
        answer = subprocess.run([path, "version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.returncode == 0 and answer.stdout.strip().removeprefix("v").split("+")[0] == VERSION


def _from_release(folder: Path, say: Say) -> Path | None:
    """The binary out of the release archive; None where there is no release for this machine or no way to it."""
    architecture = ARCHITECTURES.get(platform.machine())
    if platform.system() != "Linux" or architecture is None:
        return None
    name = f"cometbft_{VERSION}_linux_{architecture}.tar.gz"
    say(f"asking the release host for {name}")
    try:
        sums = _fetch(f"{RELEASES}/{CHECKSUMS}")
        archive = _fetch(f"{RELEASES}/{name}")
    except Unavailable as error:
        say(f"no release from here ({error.message}); building instead")
        return None
    expected = expected_sha256(sums.decode("utf-8", "replace"), name)
    found = hashlib.sha256(archive).hexdigest()
    if found != expected:
        raise Faulty("check_failed", f"{name} has SHA-256 {found}, the release says {expected}")
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
        content = files.extractfile("cometbft")
        if content is None:
            raise Faulty("check_failed", f"{name} holds no cometbft")
        path = folder / "cometbft"
        path.write_bytes(content.read())
    path.chmod(0o755)
    return path


def expected_sha256(sums: str, name: str) -> str | None:
    """The hash that a checksum file (`<hash>  <file>` per line) gives for a file."""
    for line in sums.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == name:
            return words[0].lower()
    return None


def _fetch(url: str) -> bytes:
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
    try:
        with urllib3.PoolManager(retries=urllib3.Retry(total=5, connect=0, read=0, redirect=5)) as pool:
            answer = pool.request("GET", url, timeout=timeout, preload_content=False)
            data = answer.read(MAX_ARCHIVE_BYTES + 1)
            answer.release_conn()
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable("unreachable", f"fetching {url}: {_reason(error)}") from error
    if answer.status != 200 or len(data) > MAX_ARCHIVE_BYTES:
        raise Unavailable("unreachable", f"fetching {url}: status {answer.status}, {len(data)} bytes")
    return data


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    return type(cause).__name__


def _from_source(folder: Path, say: Say) -> Path:
    """Built from the pinned module with this machine's Go, or with a Go toolchain brought into the cache."""
    go = golang.find(cache() / "go-toolchain", say)
    golang.check_module(go, MODULE, f"v{VERSION}", MODULE_HASH)
    say("building, which takes one to five minutes once")
    golang.install(go, f"{MODULE}/cmd/cometbft@v{VERSION}", folder, say)
    built = folder / "cometbft"
    if not built.is_file():
        raise Faulty("engine_missing", f"Go reported success, but {built} is not there")
    return built
