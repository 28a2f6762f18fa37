"""Nonces that work once, for five minutes, without keeping those that nobody used."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from chain.errors import Refused
from fleet.protocol.limits import MAX_NONCES, NONCE_LIFETIME_S


class Nonces:
    """A nonce is `u32be(second) ‖ 4 random bytes ‖ 8 bytes of HMAC-SHA-256`, under a key that lives with the process.

    Asking for many costs the hub nothing; only a nonce that came back under a good signature is remembered.
    """

    def __init__(self, now_ms: Callable[[], int], entropy: Callable[[int], bytes]) -> None:
        self._now_ms = now_ms
        self._entropy = entropy
        self._key = entropy(32)
        self._used: OrderedDict[bytes, int] = OrderedDict()
        self._lock = Lock()

    def issue(self) -> bytes:
        """16 bytes."""
        head = (self._now_ms() // 1000).to_bytes(4, "big") + self._entropy(4)
        return head + self._seal(head)

    def use(self, nonce: bytes) -> None:
        """Raises Refused(token_invalid) for a nonce that is not ours, too old, or used before."""
        now_s = self._now_ms() // 1000
        issued_s = int.from_bytes(nonce[:4], "big")
        if not hmac.compare_digest(self._seal(nonce[:8]), nonce[8:]):
            raise Refused("token_invalid", "the nonce is not one of this hub's: ask for a new one")
        if not 0 <= now_s - issued_s <= NONCE_LIFETIME_S:
            raise Refused("token_invalid", f"the nonce is {now_s - issued_s} s old: ask for a new one")
        with self._lock:
            while self._used and next(iter(self._used.values())) < now_s - NONCE_LIFETIME_S:
                self._used.popitem(last=False)
            if nonce in self._used:
                raise Refused("token_invalid", "the nonce was used before: ask for a new one")
            if len(self._used) >= MAX_NONCES:
                raise Refused("rate_limited", "too many enrolments in five minutes")
            self._used[nonce] = now_s

    def _seal(self, head: bytes) -> bytes:
        return hmac.digest(self._key, head, hashlib.sha256)[:8]
