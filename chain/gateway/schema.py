"""What all answers of the REST routes have in common: their notation, what they stand on, and how they fail.

Every answer names the chain, `verified_height` and what the proof starts from. The values are those after the block of
`verified_height`, proven under the app hash of the next header; null there says that the answer is somebody's word.
Amounts are decimal text of 10^-18 ANKR (`_atto`), bytes are lower-case hex, accounts `ankr1…`, times RFC 3339.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Atto = Annotated[str, Meta(pattern="^[0-9]{1,39}$")]
Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$")]
Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
AccountText = Annotated[str, Meta(pattern="^ankr1[02-9ac-hj-np-z]{38}$")]
ValidatorText = Annotated[str, Meta(pattern="^[0-9a-f]{40}$", description="CometBFT's validator address.")]
Time = Annotated[str, Meta(description="RFC 3339, in UTC.")]


class Problem(Struct, frozen=True):
    """RFC 9457; `code` and `remedy` are those of docs/error-codes.md."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str


class Answer(Struct, frozen=True, kw_only=True):
    """What each answer stands on."""

    chain_id: str
    verified_height: int | None
    trusted: Annotated[str, Meta(description="The header from which the light client started, and who vouched for it.")]
