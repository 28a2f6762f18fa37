"""Where there is no engine, every test that needs one is skipped and says what brings it."""

from __future__ import annotations

import pytest

from chain.engines.cometbft import binary
from chain.errors import Unavailable


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("engine") is None:
        return
    try:
        binary.find()
    except Unavailable as error:
        pytest.skip(f"{error.message}: make engines")
