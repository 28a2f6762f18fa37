"""Acceptance of a machine's hardware: what `hardware-tests/` look through, expect, load it with, and report."""
