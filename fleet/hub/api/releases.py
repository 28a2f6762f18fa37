"""The release folder of this hub, for its machines: plain files and parts of them; what they are worth, others sign."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from litestar import Request, get
from litestar.datastructures import State
from litestar.params import Parameter
from litestar.response import Stream

from chain import files
from chain.errors import Faulty, Refused
from fleet.protocol.updates import RELEASES_PATH

FOLDER: Final = "releases"
"""In the hub's home; `dccn release` makes it."""
PIECE_BYTES: Final = 1 << 16
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?", re.ASCII)


@get(
    RELEASES_PATH + "/{path:path}",
    tags=["updates"],
    summary="A file of the release folder, or the part that a Range header asks for",
    sync_to_thread=True,
)
def release_file(
    request: Request[Any, Any, State], path: Annotated[str, Parameter(description="Below the release folder.")]
) -> Stream:
    """Raises Refused `not_found`, also for a range that lies outside the file."""
    folder = request.app.state.hub.settings.home / FOLDER
    name = str(path).lstrip("/")
    try:
        descriptor = files.open_below(folder, name)
    except FileNotFoundError:
        raise Refused("not_found", f"this hub has no release file {name[:200]!r}") from None
    except OSError as error:
        raise Faulty("home_invalid", f"reading the release file {name[:200]!r}: {error.strerror}") from None
    size = os.fstat(descriptor).st_size
    first, last, is_part = _range(request.headers.get("range"), size)
    if first > last and is_part:
        os.close(descriptor)
        raise Refused("not_found", f"{name[:200]!r} has {size} bytes, and none in the range that was asked for")
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(last - first + 1)}
    if is_part:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Stream(
        _pieces(descriptor, first, last),
        status_code=206 if is_part else 200,
        media_type="application/octet-stream",
        headers=headers,
    )


def _range(header: str | None, size: int) -> tuple[int, int, bool]:
    """First and last byte, and whether that is a part; a header of another form is ignored, as RFC 9110 allows."""
    found = _RANGE.fullmatch(header or "")
    if found is None:
        return 0, size - 1, False
    first, last = int(found[1]), size - 1 if found[2] is None else int(found[2])
    return first, min(last, size - 1), True


def _pieces(descriptor: int, first: int, last: int) -> Iterator[bytes]:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(first)
        left = last - first + 1
        while left > 0 and (piece := file.read(min(PIECE_BYTES, left))):
            left -= len(piece)
            yield piece
