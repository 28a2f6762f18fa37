"""The agent and the libraries that it stands on, as one folder of files for the image: no pip, no virtual environment.

Libraries come as wheels for the image's own Python (3.11, x86-64), with the hashes of `requirements.lock`; only those
that the agent needs, and what these need, are taken.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Container
from importlib.metadata import DistributionFinder, MetadataPathFinder, PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from appliance.image.run import run
from chain.errors import Faulty

SOURCE: Final = Path(__file__).parents[2]
LOCK: Final = SOURCE / "requirements.lock"
LIBRARIES: Final = (
    "cbor2",
    "cryptography",
    "msgspec",
    "numpy",
    "nvidia-ml-py",
    "paho-mqtt",
    "psutil",
    "pynacl",
    "securesystemslib",
    "segno",
    "textual",
    "tuf",
    "typer",
    "urllib3",
)
PACKAGES: Final = ("chain", "appliance", "dccn", "fleet/protocol")
HARDWARE_TESTS: Final = "hardware-tests"
HARDWARE_TESTS_OVERLAY: Final = "acceptance"
"""An image with this overlay has the hardware tests, and nobody else's does."""
LEFT_OUT: Final = ("__pycache__", "*.pyc", "image", "*.pyi")
TARGET: Final = (
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--abi",
    "cp311",
    "--abi",
    "abi3",
    "--abi",
    "none",
)
PLATFORMS: Final = (
    "manylinux_2_34_x86_64",
    "manylinux_2_28_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "any",
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def install(folder: Path, work: Path, more: tuple[str, ...] = ()) -> None:
    """Fill `folder`; `more` are libraries that not every image has.

    Raises Faulty `build_failed` or Unavailable when wheels cannot be had.
    """
    requirements = work / "agent-requirements.txt"
    blocks = locked()
    wanted = (*LIBRARIES, *more)
    requirements.write_text("".join(blocks[name] for name in closure(wanted, blocks)))
    platforms = [argument for each in PLATFORMS for argument in ("--platform", each)]
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile", "--quiet"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    run([*pip, *options, *TARGET, *platforms, "--target", folder, "--requirement", requirements])
    missing = sorted({normalised(name) for name in wanted} - {normalised(name) for name in libraries(folder)})
    if missing:
        raise Faulty("build_failed", f"pip left out {', '.join(missing)}: what {LOCK} locks is not for Python 3.11")
    for package in PACKAGES:
        ignore = shutil.ignore_patterns(*LEFT_OUT)
        shutil.copytree(SOURCE / package, folder / package, ignore=ignore, dirs_exist_ok=True)
    (folder / "fleet" / "__init__.py").write_bytes(b"")
    own = version("dccn")
    about = folder / f"dccn-{own}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dccn\nVersion: {own}\n")
    _trim(folder)


def install_hardware_tests(folder: Path) -> None:
    """Beside the agent, where its `appliance.acceptance` looks for them."""
    ignore = shutil.ignore_patterns(*LEFT_OUT, "bench", "environments")
    shutil.copytree(SOURCE / HARDWARE_TESTS, folder / HARDWARE_TESTS, ignore=ignore)


def libraries(folder: Path) -> dict[str, str]:
    """Name and version of every distribution in an installed tree, this program among them."""
    found = MetadataPathFinder.find_distributions(DistributionFinder.Context(path=[str(folder)]))
    return {each.metadata["Name"]: each.version for each in found}


def closure(wanted: tuple[str, ...], known: Container[str]) -> list[str]:
    """The wanted distributions and all that they need on this platform, by name; `known` are those that are locked.

    Raises Faulty `build_failed` for a wanted one that is not.
    """
    missing = [name for name in wanted if normalised(name) not in known]
    if missing:
        raise Faulty("build_failed", f"{LOCK} does not lock {', '.join(missing)}")
    found: dict[str, None] = {}
    waiting = [normalised(name) for name in wanted]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            requirements = requires(name) or ()
        except PackageNotFoundError:
            continue  # another platform's: the builder's own environment has all that this one needs
        found[name] = None
        for requirement in requirements:
            before, _, marker = requirement.partition(";")
            match = _NAME.match(before)
            if match and "extra ==" not in marker and normalised(match.group()) in known:
                waiting.append(normalised(match.group()))
    return sorted(found)


def locked() -> dict[str, str]:
    """The lines of `requirements.lock`, by the distribution that they lock."""
    found: dict[str, str] = {}
    name = ""
    for line in LOCK.read_text("utf-8").splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            name = normalised(line.partition("==")[0].strip())
        if name:  # one distribution may be locked in several versions, each for some versions of Python
            found[name] = found.get(name, "") + line
    return found


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _trim(folder: Path) -> None:
    """Leave out what no program here ever opens: the libraries' own tests, scripts and type stubs."""
    for pattern in ("*/**/tests", "bin", "share", "**/*.pyi", "**/__pycache__"):
        for path in sorted(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()
