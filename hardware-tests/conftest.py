"""Hooks of the hardware tests; they are in the product, so that the image has them too."""

from __future__ import annotations

from appliance.acceptance.plugin import (
    measured,
    probe,
    pytest_addoption,
    pytest_configure,
    pytest_runtest_logreport,
    pytest_runtest_setup,
    pytest_sessionfinish,
    pytest_sessionstart,
)

__all__ = [
    "measured",
    "probe",
    "pytest_addoption",
    "pytest_configure",
    "pytest_runtest_logreport",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_sessionstart",
]
