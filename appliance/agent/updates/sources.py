"""Where releases come from: a server over HTTPS, or a folder such as a USB stick. Both are strangers.

A source gives bytes; nothing that it says is believed before its hash is. It is held to the lengths that were asked for
and to a least speed, so that it can neither fill this machine nor keep it waiting for ever.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient import FetcherInterface

from chain import files, outward
from chain.errors import DccnError, Malformed, Unavailable

PIECE_BYTES: Final = 1 << 16
TIMEOUT_S: Final = 30.0
GRACE_S: Final = 60.0
LEAST_BYTES_PER_S: Final = 1024
NOT_FOUND: Final = 404
"""python-tuf takes this, or 403, as the end of a chain of roots."""


class NotThereError(Unavailable):
    """The source answers, and does not have this file."""

    def __init__(self, message: str) -> None:
        super().__init__("unreachable", message)


class Source(Protocol):
    """`name` is for people. `path` is relative to the release folder and never leaves it."""

    name: str

    def pieces(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """A file, or `length` bytes of it from `offset` on, in pieces.

        Raises NotThereError, and Unavailable `unreachable` for a source that gives too little or too slowly.
        """


@dataclass(slots=True)
class Pace:
    """Ends a transfer that is slower than `LEAST_BYTES_PER_S` on the whole, once it has had `grace_s`."""

    name: str
    grace_s: float = GRACE_S
    now_s: Callable[[], float] = time.monotonic
    _begun_s: float = field(init=False)
    _received: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._begun_s = self.now_s()

    def note(self, received: int) -> None:
        self._received += received
        taken_s = self.now_s() - self._begun_s
        if taken_s > self.grace_s and self._received < taken_s * LEAST_BYTES_PER_S:
            raise Unavailable("unreachable", f"{self.name} gave {self._received} bytes in {taken_s:.0f} s: too slow")


class HttpsSource:
    """A release folder behind a web server. `context` says whom to trust; redirects are not followed."""

    def __init__(
        self, url: str, context: ssl.SSLContext, *, timeout_s: float = TIMEOUT_S, grace_s: float = GRACE_S
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise Malformed("usage", f"releases come from https://HOST[:PORT]/…, not from {url[:200]!r}")
        self.name = url
        self._base = url.rstrip("/") + "/"
        self._grace_s = grace_s
        self._pool = outward.pool(url, num_pools=1, maxsize=1, ssl_context=context, timeout=timeout_s, retries=False)

    def pieces(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        headers = {} if length is None else {"Range": f"bytes={offset}-{offset + length - 1}"}
        pace = Pace(self.name, self._grace_s)
        try:
            answer = self._pool.request(
                "GET", self._base + path, headers=headers, preload_content=False, redirect=False
            )
            try:
                _check_status(answer.status, self._base + path, wants_range=length is not None)
                # One read of what has come: waiting for a whole piece would let a dripping server hold us for days.
                pieces = iter(lambda: answer.read1(PIECE_BYTES, decode_content=False), b"")
                yield from _bounded(pieces, length, pace, self._base + path)
            finally:
                answer.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable("unreachable", f"{self._base + path} does not answer: {error}") from error


class FolderSource:
    """A release folder in this machine's files. Links are not followed: the stick is a stranger's."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def pieces(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        with os.fdopen(self._open(path), "rb") as file:
            file.seek(offset)
            parts = iter(lambda: file.read(PIECE_BYTES), b"")
            yield from _bounded(parts, length, Pace(self.name), f"{self._folder / path}")

    def _open(self, path: str) -> int:
        try:
            return files.open_below(self._folder, path)
        except FileNotFoundError:
            raise NotThereError(f"{self.name} has no file {path}") from None
        except OSError as error:
            raise Unavailable("unreachable", f"reading {self._folder / path}: {error.strerror}") from error


class Fetcher(FetcherInterface):
    """A source as python-tuf asks for it: its URLs are paths below the release folder."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Raises DownloadHTTPError for what is not there; other failures keep their own words as the cause."""
        try:
            yield from self._source.pieces(url)
        except NotThereError as error:
            raise DownloadHTTPError(error.message, NOT_FOUND) from None
        except DccnError as error:
            raise DownloadError(error.message) from error


def _bounded(parts: Iterator[bytes], length: int | None, pace: Pace, name: str) -> Iterator[bytes]:
    """The parts, at most `length` bytes of them; fewer are an error."""
    left = length
    for part in parts:
        pace.note(len(part))
        if left is None:
            yield part
            continue
        taken = part[:left]
        left -= len(taken)
        yield taken
        if not left:
            return
    if left:
        raise Unavailable("unreachable", f"{name} ended {left} bytes too early")


def _check_status(status: int, url: str, *, wants_range: bool) -> None:
    if status in (NOT_FOUND, 403, 410):
        raise NotThereError(f"{url} is not there")
    if status != (206 if wants_range else 200):
        wanted = "a part of a file" if wants_range else "a file"
        raise Unavailable("unreachable", f"{url} answers {status} when asked for {wanted}")
