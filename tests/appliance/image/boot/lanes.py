"""Which tests of the image run: those that take minutes more only when asked, and none that begins too late."""

from __future__ import annotations

import os
import time

import pytest

IS_LONG = bool(os.environ.get("DCCN_LONG_LANES"))
LONG = pytest.mark.skipif(not IS_LONG, reason="takes minutes more: DCCN_LONG_LANES=1 make image-test")
END_S = float(os.environ.get("DCCN_LANES_END", "inf"))
"""The Unix time after which no test begins, because whoever runs them would cut the last one short."""


def skip_when_late() -> None:
    """Called before a test's fixtures, which may take as long as the test."""
    if time.time() > END_S:
        pytest.skip("the time for these tests was over (DCCN_LANES_END): make image-test")
