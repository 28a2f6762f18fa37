"""Debian's Chromium, headless: what the tests of the page and the documents' pictures look through."""

from __future__ import annotations

from typing import Final

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = [
    "--headless",
    "--no-sandbox",  # Chromium refuses to run as root with it, and containers have nothing else
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""It opens our own page only, and asks nothing of anybody else by itself."""
