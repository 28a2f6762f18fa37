"""The admin secret: made at the first start, shown once, stored hashed."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chain import files
from chain.errors import Faulty, Refused
from fleet.hub.identity.codes import secret_hash
from fleet.hub.identity.keyfiles import IDENTITY_FOLDER

_FILE: Final = "admin-secret.sha256"


class AdminSecret:
    """Checks the bearer of an admin request."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    @classmethod
    def open(cls, home: Path, entropy: Callable[[int], bytes]) -> tuple[AdminSecret, str | None]:
        """The secret of this home; the second value is its text when it was made just now, and never again."""
        path = home / IDENTITY_FOLDER / _FILE
        if path.exists():
            try:
                return cls(bytes.fromhex(path.read_text(encoding="ascii"))), None
            except ValueError:
                raise Faulty("home_invalid", f"reading {path}: it is not a hash") from None
        text = base64.b32encode(entropy(15)).decode().lower()
        text = "-".join(text[i : i + 6] for i in range(0, len(text), 6))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = secret_hash(text.encode())
        files.replace(path, digest.hex().encode() + b"\n")
        return cls(digest), text

    def check(self, authorization: str | None) -> None:
        """The value of the Authorization header. Raises Refused(not_admin)."""
        scheme, _, secret = (authorization or "").partition(" ")
        digest = secret_hash(secret.strip().lower().encode())
        if scheme.lower() != "bearer" or not hmac.compare_digest(digest, self._digest):
            raise Refused("not_admin", "this needs the header `Authorization: Bearer <admin secret>`")
