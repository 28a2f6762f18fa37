"""Lets `python -m dccn` stand for the command."""

from dccn.main import run

run()
