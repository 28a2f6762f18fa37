"""The one string that a data center joins with: which chain, whom to meet, what to trust.

```
"dccnjoin1_" ‖ base64url without padding of (body ‖ first 4 bytes of SHA-256(body))
body = canonical CBOR [1, chain_id, genesis_hash, trusted_height, trusted_hash, [rpc, rpc], [peer, …]]
```
There is one text for one invitation. It carries no secret; who can change it on its way can change whom you join.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256

from chain.errors import DccnError, Malformed
from chain.wire import cbor

PREFIX = "dccnjoin1_"
VERSION = 1
MAX_CHARACTERS = 4_096
MAX_PEERS = 16
_CHECK_BYTES, _HASH_BYTES = 4, 32
_PEER = re.compile(r"[0-9a-f]{40}@[0-9A-Za-z.:\[\]_-]{1,255}:\d{1,5}", re.ASCII)
_RPC = re.compile(r"https?://[0-9A-Za-z.:\[\]_/-]{1,255}", re.ASCII)
_CHAIN_ID = re.compile(r"[0-9A-Za-z._-]{1,50}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Invitation:
    """`rpc` are two URLs of CometBFT's RPC, `peers` are `id@host:port`, hashes have 32 bytes.

    Raises Malformed for what no invitation can carry.
    """

    chain_id: str
    genesis_hash: bytes
    trusted_height: int
    trusted_hash: bytes
    rpc: tuple[str, ...]
    peers: tuple[str, ...]

    def __post_init__(self) -> None:
        wrong = [each for each in self.rpc if not _RPC.fullmatch(each)]
        wrong += [each for each in self.peers if not _PEER.fullmatch(each)]
        wrong += [] if _CHAIN_ID.fullmatch(self.chain_id) else [self.chain_id]
        if wrong:
            raise Malformed("malformed", f"an invitation cannot carry {wrong[0][:80]!r}")
        if len(self.rpc) != 2 or not 0 < len(self.peers) <= MAX_PEERS:
            raise Malformed("malformed", f"an invitation has two RPC addresses and 1 to {MAX_PEERS} peers")
        if {len(self.genesis_hash), len(self.trusted_hash)} != {_HASH_BYTES} or not 0 < self.trusted_height < 1 << 63:
            raise Malformed("malformed", "an invitation has two hashes of 32 bytes and a height above 0")

    def encode(self) -> str:
        """The string."""
        head = [VERSION, self.chain_id, self.genesis_hash, self.trusted_height, self.trusted_hash]
        body = cbor.encode([*head, list(self.rpc), list(self.peers)])
        text = PREFIX + base64.urlsafe_b64encode(body + _check(body)).decode().rstrip("=")
        if len(text) > MAX_CHARACTERS:
            raise Malformed("too_large", f"an invitation of {len(text)} characters; at most {MAX_CHARACTERS}")
        return text

    @classmethod
    def decode(cls, text: str) -> Invitation:
        """The inverse of `encode`; raises Malformed for a string with a typing error, or of another version."""
        if not text.startswith(PREFIX) or len(text) > MAX_CHARACTERS:
            raise Malformed("malformed", f"the string to join with begins with {PREFIX}, and was not copied whole")
        try:
            coded = text.removeprefix(PREFIX)
            data = base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise Malformed("malformed", "the string to join with was not copied whole") from None
        body, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
        if check != _check(body):
            raise Malformed("malformed", "the string to join with has a typing error: its checksum is wrong")
        invitation = cls._read(body)
        if invitation.encode() != text:
            raise Malformed("non_canonical", "the string to join with is not the canonical one")
        return invitation

    @classmethod
    def _read(cls, body: bytes) -> Invitation:
        try:
            version, chain_id, genesis, height, trusted, rpc, peers = cbor.decode(body)
            if version != VERSION or type(height) is not int or not all(type(each) is list for each in (rpc, peers)):
                raise ValueError(f"version {version!r}")
            return cls(chain_id, genesis, height, trusted, tuple(rpc), tuple(peers))
        except DccnError:
            raise
        except (TypeError, ValueError) as error:
            raise Malformed("malformed", f"the string to join with cannot be read: {error}") from None


def _check(body: bytes) -> bytes:
    return sha256(body).digest()[:_CHECK_BYTES]
