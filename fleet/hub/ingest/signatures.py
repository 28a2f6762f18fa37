"""Verifying the signatures of a batch: libsodium's strict rules for record keys, several cores when there are some.

A record's signature is decided by libsodium alone. ZIP-215, which consensus needs, accepts a few odd signatures more,
and deciding those takes a hundred times as long: a device that sends garbage would pay little and cost much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from chain.wire.cose import to_be_signed
from fleet.hub.ingest.messages import SignatureCheck

MIN_CHUNK: Final = 32
"""Fewer checks than this are not worth handing to another thread."""

Checker = Callable[[Sequence[SignatureCheck], str], list[bool]]
"""(checks, chain id) -> one verdict each."""


def check_all(checks: Sequence[SignatureCheck], chain_id: str) -> list[bool]:
    """Every check in this thread."""
    return [check_one(check, chain_id) for check in checks]


def check_one(check: SignatureCheck, chain_id: str) -> bool:
    """Whether the key signed the envelope for this purpose and chain; P-256 only with low s."""
    envelope, key = check.envelope, check.key
    if key.algorithm != "ed25519" or envelope.algorithm != "ed25519":
        return envelope.verify(key, check.tag, chain_id)
    message = to_be_signed(envelope.protected, envelope.payload, check.tag, chain_id)
    try:
        crypto_sign_open(envelope.signature + message, key.x)
    except BadSignatureError:
        return False
    return True


def pooled(pool: ThreadPoolExecutor, workers: int) -> Checker:
    """The same over `workers` threads: libsodium and OpenSSL let go of the interpreter while they compute."""

    def check(checks: Sequence[SignatureCheck], chain_id: str) -> list[bool]:
        size = max(MIN_CHUNK, -(-len(checks) // workers))
        chunks = [checks[at : at + size] for at in range(0, len(checks), size)]
        if len(chunks) < 2:
            return check_all(checks, chain_id)
        verdicts = pool.map(partial(check_all, chain_id=chain_id), chunks)
        return [verdict for part in verdicts for verdict in part]

    return check
