"""Which tests of the image take so long that `make image-test` runs them only when asked."""

from __future__ import annotations

import os

import pytest

LONG = pytest.mark.skipif(
    not os.environ.get("DCCN_LONG_LANES"), reason="takes a quarter of an hour more: DCCN_LONG_LANES=1 make image-test"
)
