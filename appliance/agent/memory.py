"""Starting takes more memory than running: what is left over goes back to the machine."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Collect what starting left behind and return free pages to the kernel, where the C library can (glibc)."""
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
