"""How long the updater waits between its turns."""

from __future__ import annotations

from typing import Final

HOUR_S: Final = 3600.0
LOOK_S: Final = 6 * HOUR_S
RETRY_S: Final = 900.0
REOPEN_S: Final = 120.0
