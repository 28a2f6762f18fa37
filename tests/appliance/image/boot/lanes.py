"""Which tests of the image take so long that `make image-test` runs them only when asked."""

from __future__ import annotations

import os

import pytest

IS_LONG = bool(os.environ.get("DCCN_LONG_LANES"))
LONG = pytest.mark.skipif(not IS_LONG, reason="takes minutes more: DCCN_LONG_LANES=1 make image-test")
