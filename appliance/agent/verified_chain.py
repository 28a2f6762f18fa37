"""The chain as this device sees it: every answer of a node is checked with the light client before anybody here uses it."""

from __future__ import annotations

import threading
from pathlib import Path
