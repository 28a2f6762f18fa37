"""Vesting: reserved parts of the supply that are released over time; body of the release, and its entry."""

from __future__ import annotations

from typing import Any

from chain.wire.fields import Fields
from chain.wire.kinds import VESTING_RELEASE, Content
from chain.wire.state import Entry


class Vesting(Entry, frozen=True):
    """`vesting/` u64be(number): what `beneficiary` gets out of a share, linearly from `start_ns` on.

    Nothing before `start_ns` + `cliff_s`, everything `duration_s` after `start_ns`.
    """

    share: str
    beneficiary: bytes
    amount_atto: int
    start_ns: int
    cliff_s: int
    duration_s: int
    released_atto: int


def vesting_key(number: int) -> bytes:
    return b"vesting/" + number.to_bytes(8, "big")


def vesting_release(number: int) -> Content:
    """Anybody may send it; the beneficiary gets what has vested."""
    return VESTING_RELEASE, [number]


def read_vesting_release(body: list[Any]) -> int:
    return Fields(body, None, 1).integer(0)
