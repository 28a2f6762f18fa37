"""The bytes of commitments and complete proofs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chain.crypto import merkle
from chain.errors import Malformed
from chain.proofs.pog.challenge import GPU_NAME_MAX_BYTES, Challenge
from chain.proofs.pog.profiles import PROFILES, ROWS_MAX, Profile, profile_named
from chain.wire import cbor
from chain.wire.fields import Fields

COMMITMENT_TAG = "dccn/pog-commit/v1"
OPENING_TAG = "dccn/pog-open/v1"

PATH_MAX = 32
COMMITMENT_MAX_BYTES = 512
PROOF_MAX_BYTES = max(p.openings * (p.row_bytes + PATH_MAX * 34 + 32) for p in PROFILES.values()) + 512
"""The largest complete proof of any profile with the deepest tree: 336 KiB."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """`["poc1", device, gpu, profile, n, root, challenge_height]`, sent signed by the record key (COMMITMENT_TAG)."""

    device: bytes
    gpu: str
    profile: str
    rows: int
    root: bytes
    challenge_height: int

    def encoded(self) -> bytes:
        return cbor.encode(["poc1", self.device, self.gpu, self.profile, self.rows, self.root, self.challenge_height])

    @classmethod
    def decode(cls, data: bytes) -> Commitment:
        """Malformed: `malformed`, `non_canonical`, `too_large` for the bytes, `pog_malformed` for what they say."""
        return cls.from_list(cbor.decode(data, limit=COMMITMENT_MAX_BYTES))

    @classmethod
    def from_list(cls, body: object) -> Commitment:
        fields = Fields(body, "poc1", 7, code="pog_malformed")
        device, gpu = fields.octets(1, 32), fields.text(2, GPU_NAME_MAX_BYTES)
        profile = profile_named(fields.text(3, 16))
        rows = fields.integer(4, profile.openings, ROWS_MAX)
        return cls(device, gpu, profile.name, rows, fields.octets(5, 32), fields.integer(6, 1))


@dataclass(frozen=True, slots=True)
class OpenedRow:
    """Row `index` of C as little-endian int32 and its sibling hashes from leaf to root."""

    index: int
    row: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """`["pog1", profile, beacon, device, gpu, n, root, b2, [[index, row bytes, [path]], …]]`."""

    profile: str
    beacon: bytes
    device: bytes
    gpu: str
    rows: int
    root: bytes
    open_beacon: bytes
    opened: tuple[OpenedRow, ...]

    @property
    def challenge(self) -> Challenge:
        return Challenge(profile_named(self.profile), self.beacon, self.device, self.gpu)

    def body(self) -> list[object]:
        """The array itself, for embedding in the opening message `["pogopen1", challenge_height, body]`."""
        opened = [[row.index, row.row, list(row.path)] for row in self.opened]
        question = [self.profile, self.beacon, self.device, self.gpu]
        return ["pog1", *question, self.rows, self.root, self.open_beacon, opened]

    def encoded(self) -> bytes:
        return cbor.encode(self.body())

    @classmethod
    def decode(cls, data: bytes) -> Proof:
        """Malformed: `malformed`, `non_canonical`, `too_large` for the bytes, `pog_malformed` for what they say."""
        return cls.from_list(cbor.decode(data, limit=PROOF_MAX_BYTES))

    @classmethod
    def from_list(cls, body: object) -> Proof:
        fields = Fields(body, "pog1", 9, code="pog_malformed")
        profile = profile_named(fields.text(1, 16))
        rows = fields.integer(5, profile.openings, ROWS_MAX)
        opened = fields.array(8, profile.openings)
        if len(opened) != profile.openings:
            shown = f"{len(opened)} rows are opened"
            raise Malformed("pog_malformed", f"{shown}, profile {profile.name} opens {profile.openings}")
        return cls(
            profile=profile.name,
            beacon=fields.octets(2, 32),
            device=fields.octets(3, 32),
            gpu=fields.text(4, GPU_NAME_MAX_BYTES),
            rows=rows,
            root=fields.octets(6, 32),
            open_beacon=fields.octets(7, 32),
            opened=tuple(_opened_row(item, profile, rows) for item in opened),
        )


def commitments_root(commitments: Iterable[bytes]) -> bytes:
    """Root of the sorted commitments, as the transaction `pog_commit` carries it.

    Leaves of the RFC 6962 tree are the canonical bytes of the commitments in ascending order, each once.
    """
    return merkle.root(sorted_commitments(commitments))


def commitment_path(commitments: Iterable[bytes], commitment: bytes) -> tuple[int, list[bytes]]:
    """(index, path) that shows one commitment to be under `commitments_root`."""
    leaves = sorted_commitments(commitments)
    index = leaves.index(commitment)
    return index, merkle.proof(leaves, index)


def sorted_commitments(commitments: Iterable[bytes]) -> list[bytes]:
    """Ascending and distinct: the order of the leaves."""
    return sorted(set(commitments))


def commitment_included(root: bytes, commitment: bytes, index: int, count: int, path: Sequence[bytes]) -> bool:
    """What a device checks before it opens: its commitment is the one that the chain holds."""
    return merkle.verify(root, commitment, index, count, list(path))


def _opened_row(item: object, profile: Profile, rows: int) -> OpenedRow:
    fields = Fields(item, None, 3, code="pog_malformed")
    index, row = fields.integer(0, 0, rows - 1), fields.octets(1, profile.row_bytes)
    return OpenedRow(index, row, tuple(fields.octets_list(2, 32, PATH_MAX)))
