"""How a hub and its machines speak of updates: where the releases lie, and the command to look for one.

Neither carries trust: a release is what the release keys have signed, whoever passes it on.
"""

from __future__ import annotations

from typing import Final

RELEASES_PATH: Final = "/releases"
"""On the hub's HTTPS port for devices."""
LOOK: Final = "update"
"""The kind of the command; its body is an empty list."""
