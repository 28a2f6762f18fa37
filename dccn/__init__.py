"""The `dccn` command: one for every audience, thin; the only package that sees all others."""

__version__ = "0.1.0"
