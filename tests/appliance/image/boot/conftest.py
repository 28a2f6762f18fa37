"""The image under test: built once for all boots, or the one that DCCN_TEST_IMAGE names."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.image import build, profile
from chain.engines.cometbft.binary import cache
from tests.appliance.image.boot import lanes
from tests.appliance.image.boot.fleet import Fleet
from tests.appliance.releases.office import Office

EPOCH_S = 1_767_225_600
NEEDED = ("qemu-system-x86_64", "mmdebstrap", "mkfs.erofs", "mcopy", "ip")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.image)
        item.add_marker(pytest.mark.timeout(1800))
    items[:] = [item for item in items if item not in ours] + sorted(ours, key=lanes.place)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    lanes.skip_when_late()


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Those whose releases the image believes, if it was built here."""
    return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, office: Office) -> Path:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.geteuid():
        pytest.skip(f"building an image takes root and {', '.join(missing) or 'nothing more'}: make image-test")
    named = os.environ.get("DCCN_TEST_IMAGE")
    if named:
        return Path(named)
    return _built(tmp_path_factory.mktemp("image"), office)


@pytest.fixture(scope="session")
def updating_image(tmp_path_factory: pytest.TempPathFactory, office: Office, image: Path) -> Path:
    """An image that believes the releases of `office`."""
    return _built(tmp_path_factory.mktemp("updating"), office) if os.environ.get("DCCN_TEST_IMAGE") else image


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


def _built(folder: Path, office: Office) -> Path:
    built = build.build(
        profile.load("qemu-test"),
        folder,
        cache() / "image",
        version="1",
        epoch_s=EPOCH_S,
        say=print,
        compress=False,
        trust=office.folder / "metadata/1.root.json",
    )
    print(json.dumps({"root_hash": built.root_hash, "stored_bytes": built.stored_bytes}))
    return Path(built.image)
