"""Changing who signs: release keys come and go, by the word of the old ones and of the new ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from securesystemslib.signer import CryptoSigner, Key

from appliance.releases.repository import OFFLINE_ROLES, ONLINE_ROLES, Lifetimes, Repository, copied
from chain.errors import Malformed, Refused

LEAST_NAMED = 8


def rotate(
    repository: Repository,
    *,
    add: Sequence[Key] = (),
    remove: Sequence[str] = (),
    threshold: int | None = None,
    online: CryptoSigner | None = None,
    now: datetime,
    lifetimes: Lifetimes,
) -> None:
    """Propose a root with other keys, and the releases again, which the new keys have to sign too.

    `remove` names keys by their ids or the first digits of them; `online` replaces the key of the timestamp. Raises
    Malformed `usage` for a key that is not there, Refused `release_invalid` when too few keys would be left.
    """
    root = copied(repository.root)
    for keyid in [_named(text, root.roles["root"].keyids) for text in remove]:
        for role in OFFLINE_ROLES:
            root.revoke_key(keyid, role)
    for role in OFFLINE_ROLES:
        for key in add:
            root.add_key(key, role)
        root.roles[role].threshold = threshold or root.roles[role].threshold
        there, needed = len(root.roles[role].keyids), root.roles[role].threshold
        if not 1 <= needed <= there:
            raise Refused("release_invalid", f"{needed} signatures of {there} keys could never be had")
    if online is not None:
        for role in ONLINE_ROLES:
            for keyid in list(root.roles[role].keyids):
                root.revoke_key(keyid, role)
            root.add_key(online.public_key, role)
    repository.propose("root", root, now, lifetimes)
    repository.propose("targets", copied(repository.targets), now, lifetimes)


def _named(text: str, keyids: Sequence[str]) -> str:
    found = [keyid for keyid in keyids if keyid.startswith(text)]
    if len(text) < LEAST_NAMED or len(found) != 1:
        raise Malformed("usage", f"{text[:80]!r} names {len(found)} of the keys; give at least {LEAST_NAMED} digits")
    return found[0]
