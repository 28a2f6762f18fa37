"""The root of trust in an image: whose signatures its machines believe, from their first day on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from chain import files
from chain.errors import Malformed

PLACE: Final = Path("usr/share/dccn/releases/root.json")
"""In the image's file system. Without it a machine never updates itself, and says so."""
MAX_BYTES: Final = 512_000


def read(path: Path) -> bytes:
    """The bytes of a `root.json` that its own keys have signed. Raises Malformed `usage` for any other file."""
    data = files.read(path, MAX_BYTES)
    try:
        root = Metadata[Root].from_bytes(data or b"")
        root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    except (RepositoryError, ValueError, AttributeError) as error:
        raise Malformed("usage", f"{path} is no root of a release folder: {error}") from None
    return data or b""
