"""Validators and their set in CometBFT v0.38's order, with its hash.

Source: cometbft `types/{validator,validator_set}.go`, `proto/tendermint/types/validator.proto` (SimpleValidator).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chain.crypto import merkle
from chain.crypto.address import validator_address
from chain.errors import Malformed
from chain.wire.protobuf import bytes_field, integer_field, message_field


@dataclass(frozen=True, slots=True)
class Validator:
    """A consensus key (Ed25519, 32 bytes) and its voting power."""

    public: bytes
    power: int

    @property
    def address(self) -> bytes:
        """SHA-256(key)[:20]."""
        return validator_address(self.public)

    def encode_simple(self) -> bytes:
        """SimpleValidator{PublicKey{ed25519}, voting_power}: the leaf of the set's hash."""
        return message_field(1, bytes_field(1, self.public)) + integer_field(2, self.power)


class ValidatorSet:
    """Validators by descending power, then ascending address; immutable; raises `malformed` for a key named twice."""

    __slots__ = ("_index", "total_power", "validators")

    def __init__(self, validators: Iterable[Validator]) -> None:
        self.validators = tuple(sorted(validators, key=lambda validator: (-validator.power, validator.address)))
        self.total_power = sum(validator.power for validator in self.validators)
        self._index = {validator.address: index for index, validator in enumerate(self.validators)}
        if len(self._index) != len(self.validators):
            raise Malformed("malformed", "a validator set names one key twice")

    def hash(self) -> bytes:
        """The Merkle root over the validators: what headers call validators_hash."""
        return merkle.root([validator.encode_simple() for validator in self.validators])

    def by_address(self, address: bytes) -> Validator | None:
        index = self._index.get(address)
        return None if index is None else self.validators[index]

    def index_of(self, address: bytes) -> int | None:
        """The place of the validator's signature in a commit."""
        return self._index.get(address)

    def __len__(self) -> int:
        return len(self.validators)

    def __iter__(self) -> Iterator[Validator]:
        return iter(self.validators)

    def __getitem__(self, index: int) -> Validator:
        return self.validators[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ValidatorSet) and self.validators == other.validators

    def __hash__(self) -> int:
        return hash(self.validators)

    def __repr__(self) -> str:
        return f"ValidatorSet({list(self.validators)!r})"
