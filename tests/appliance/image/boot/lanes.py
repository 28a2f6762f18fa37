"""Which tests of the image run, and when: what takes minutes more only when asked, none that begins too late."""

from __future__ import annotations

import os
import time

import pytest

IS_LONG = bool(os.environ.get("DCCN_LONG_LANES"))
LONG = pytest.mark.skipif(not IS_LONG, reason="takes minutes more: DCCN_LONG_LANES=1 make image-test")
END_S = float(os.environ.get("DCCN_LANES_END", "inf"))
"""The Unix time after which no test begins, because whoever runs them would cut the last one short."""

ORDER = (
    "boot_first",
    "update_fall_back",
    "tpm",
    "factory_reset",
    "secure_boot",
    "boot_network",
    "boot_hostile",
    "boot_order",
)
"""What matters most begins first. The power cuts, which are not named here, take longest and come last."""


def place(item: pytest.Item) -> int:
    """Where the file of a test stands in `ORDER`; within a file the order stays."""
    name = item.path.stem.removeprefix("test_")
    return ORDER.index(name) if name in ORDER else len(ORDER)


def skip_when_late() -> None:
    """Called before a test's fixtures, which may take as long as the test."""
    if time.time() > END_S:
        pytest.skip("the time for these tests was over (DCCN_LANES_END): make image-test")
