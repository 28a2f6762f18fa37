"""The fixture that starts helpers."""

from tests.appliance.running_helper import start_helper

__all__ = ["start_helper"]
