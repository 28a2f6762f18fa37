"""The wallet's folder: one file per name, keys and watched addresses alike."""

from __future__ import annotations

import re
from pathlib import Path

from chain import files
from chain.crypto import address
from chain.errors import Malformed, Refused
from chain.wallet.keystore import DOCUMENT_MAX_BYTES, Entry, decode_document, encode_document

NAMES_MAX = 10_000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_SUFFIX = ".json"


class Book:
    """Entries by name in `folder`, which is made at the first entry."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        found = (path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}"))
        return sorted(name for name in found if _NAME.fullmatch(name))

    def entries(self) -> list[tuple[str, Entry]]:
        """All entries by name; raises Malformed `wallet_damaged` with the file that is wrong."""
        return [(name, self.get(name)) for name in self.names()]

    def get(self, name: str) -> Entry:
        """Raises Refused `wallet_unknown`, Malformed `wallet_damaged`."""
        path = self._path(name)
        data = files.read(path, DOCUMENT_MAX_BYTES)
        if data is None:
            raise Refused("wallet_unknown", f"no wallet is called {name!r} in {self._folder}")
        return decode_document(data, str(path))

    def add(self, name: str, entry: Entry) -> None:
        """Raises Refused `wallet_exists` and never writes over a key."""
        path = self._path(name)
        if len(self.names()) >= NAMES_MAX:
            raise Refused("too_large", f"{self._folder} holds {NAMES_MAX} wallets")
        if not files.create(path, encode_document(entry)):
            raise Refused("wallet_exists", f"a wallet is called {name!r} already")

    def replace(self, name: str, entry: Entry) -> None:
        """The same address under another seal; Refused `wallet_exists` when it is another address."""
        if self.get(name).address != entry.address:
            raise Refused("wallet_exists", f"{name!r} is another address than {entry.text}")
        files.replace(self._path(name), encode_document(entry))

    def rename(self, old: str, new: str) -> None:
        """The new file is whole before the old one goes."""
        self.add(new, self.get(old))
        self._path(old).unlink()

    def remove(self, name: str) -> Entry:
        """The entry that is no more, so that the caller can say which address it was."""
        entry = self.get(name)
        self._path(name).unlink()
        return entry

    def resolve(self, text: str) -> bytes:
        """The address that a name of this book, or an address itself, stands for."""
        if text.lower().startswith(address.HUMAN_PREFIX + "1"):
            return address.decode(text)
        return self.get(text).address

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or name.startswith(address.HUMAN_PREFIX + "1"):
            raise Malformed(
                "usage",
                f"{name[:60]!r} is neither an address (ankr1…) nor a name: 1 to 40 of a-z, 0-9, - and _, not ankr1…",
            )
        return self._folder / f"{name}{_SUFFIX}"
