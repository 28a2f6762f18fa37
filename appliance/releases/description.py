"""What a release is: the document that a channel points at, and the parts that it names.

Channel `stable` of profile `x86-nogpu` is the TUF target `stable/x86-nogpu/release.json`. It names the release; the
parts are targets of their own under `<profile>/<version>/`, each with its hash and length in the same signed metadata,
and each saying in its `custom` field which release it belongs to.

Both large parts come with the dm-verity tree over their blocks of 4 096 bytes. The tree is what the machine boots with,
and it is also the list of blocks to have: those that the running system holds already, wherever they lie, are copied.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from appliance.agent.updates.boot_entries import is_version
from chain.errors import Malformed

ROOT: Final = "root.erofs"
ROOT_TREE: Final = "root.verity"
KERNEL: Final = "kernel.efi"
KERNEL_TREE: Final = "kernel.verity"
PARTS: Final = (ROOT, ROOT_TREE, KERNEL)
"""The files of a build; the tree over the kernel image is made when it is added."""
MEASURED: Final = "measured.json"
"""What a boot leaves in a TPM, for hubs; machines do not read it."""

MAX_DESCRIPTION_BYTES: Final = 64 * 1024
MAX_RELEASE: Final = 1 << 53
MAX_VERSION: Final = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """`release` grows with every release; the hashes in hex are the roots of the trees over root and kernel image.

    `root_hash` is also what the kernel image's command line names.
    """

    release: int
    version: str
    profile: str
    root_hash: str
    kernel_hash: str

    def part(self, name: str) -> str:
        """The path of a part's target."""
        return f"{self.profile}/{self.version}/{name}"

    @property
    def mark(self) -> dict[str, Any]:
        """The `custom` field of every target of this release."""
        return {"release": self.release, "profile": self.profile, "version": self.version}

    def encode(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Description:
        """Raises Malformed for anything but a description whose values are within their bounds."""
        try:
            found = msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed("malformed", f"the description of a release ({len(data)} bytes): {error}") from None
        hashes = (found.root_hash, found.kernel_hash)
        in_bounds = 0 < found.release <= MAX_RELEASE and is_version(found.version) and len(found.version) <= MAX_VERSION
        if not in_bounds or not _NAME.fullmatch(found.profile) or not all(_DIGEST.fullmatch(one) for one in hashes):
            raise Malformed("malformed", f"the description of release {found.release} is out of its bounds")
        return found


def channel_target(channel: str, profile: str) -> str:
    """The path of the target that says which release a channel has. Raises Malformed `usage` for a bad name."""
    for what, name in (("channel", channel), ("profile", profile)):
        if not _NAME.fullmatch(name):
            raise Malformed("usage", f"{name[:80]!r} is no name of a {what}: small letters, digits, dashes")
    return f"{channel}/{profile}/release.json"
