"""What the boot loader left for the running system, and the kernel images that it may choose among.

Sources: the Boot Loader Interface (systemd.io/BOOT_LOADER_INTERFACE) for the variables; efivarfs puts four bytes of
attributes before a variable's value.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.boots.small_files import names

VENDOR: Final = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
ATTRIBUTES_BYTES: Final = 4
ESP: Final = Path("efi")


@dataclass(frozen=True, slots=True)
class Loader:
    """Reads below `root`, which is `/` but for tests. What is not there (no UEFI, another loader) is None or empty."""

    root: Path = Path("/")

    @property
    def esp(self) -> Path:
        return self.root / ESP

    def selected(self) -> str | None:
        """The entry that was started, under its name before the loader counted it down."""
        return self._variable("LoaderEntrySelected")

    def counted(self) -> str | None:
        """The file name that the loader counted down to in this boot; None if its entry has no counter."""
        path = self._variable("LoaderBootCountPath")
        return None if path is None else path.replace("\\", "/").rpartition("/")[2]

    def is_assessed(self) -> bool:
        """Whether this boot still has to prove itself: its entry counts, and was not blessed since."""
        counted = self.counted()
        return counted is not None and counted.lower() in {name.lower() for name in self.entries()}

    def boot_partition(self) -> str | None:
        """The identity (GPT) of the partition that the loader was read from, in small letters."""
        found = self._variable("LoaderDevicePartUUID")
        return None if found is None else found.lower()

    def entries(self) -> list[str]:
        """File names in `EFI/Linux`; empty while the boot partition is not there."""
        return names(self.esp / "EFI/Linux")

    def _variable(self, name: str) -> str | None:
        path = self.root / f"sys/firmware/efi/efivars/{name}-{VENDOR}"
        try:
            return path.read_bytes()[ATTRIBUTES_BYTES:].decode("utf-16-le").rstrip("\0") or None
        except (OSError, UnicodeDecodeError):
            return None
