"""The sizes a PoG challenge may have."""

from __future__ import annotations

from dataclasses import dataclass

from chain.errors import Malformed

ROWS_MAX = 2**32
"""A proof may not claim more rows: bounds the path of an opened row to 32 hashes."""

INNER_MAX = 32_768
"""Up to this K the verifier's float64 product A·u is exact: 128 * (2^31 - 2) * 2^15 < 2^53."""


@dataclass(frozen=True, slots=True)
class Profile:
    """C = A·B with A of n x `inner`, B of `inner` x `width`, int8 entries; `openings` rows of C are shown.

    The names in proofs.md are K, w and m. n is the device's choice, at least m.
    """

    name: str
    inner: int
    width: int
    openings: int

    @property
    def row_bytes(self) -> int:
        """Length of one row of C as little-endian int32."""
        return 4 * self.width

    @property
    def entry_max(self) -> int:
        """No entry of C can be larger in absolute value: K products of two int8."""
        return self.inner << 14

    def operations(self, rows: int) -> int:
        """Integer operations (one multiply and one add each) in `rows` rows of C."""
        return 2 * rows * self.inner * self.width


PROFILES: dict[str, Profile] = {
    "test": Profile("test", inner=1_024, width=64, openings=16),
    "light": Profile("light", inner=8_192, width=256, openings=32),
    "standard": Profile("standard", inner=32_768, width=1_024, openings=64),
}


def profile_named(name: object) -> Profile:
    """The profile of this name; Malformed `pog_malformed` when there is none."""
    if not isinstance(name, str) or name not in PROFILES:
        raise Malformed("pog_malformed", f"no PoG profile is called {name!r}; there are {', '.join(PROFILES)}")
    return PROFILES[name]
