"""What each REST route answers with, as the OpenAPI document describes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from chain.gateway.schema import AccountText, Answer, Atto, Hash, Hex, Time, ValidatorText


class NodeWord(Struct, frozen=True):
    """What the node says of itself, unproven."""

    height: int
    catching_up: bool


class Status(Answer, frozen=True, kw_only=True):
    """`verified_height` is the newest header, whose signatures were verified."""

    header_hash: Hash
    header_time: Time
    app_hash: Hash
    reward_epoch: int
    election_epoch: int
    node: NodeWord


class Block(Answer, frozen=True, kw_only=True):
    """A header that signatures lead to, and the hashes of its transactions in order; the first is the beacon."""

    height: int
    hash: Hash
    time: Time
    proposer: ValidatorText
    app_hash: Hex
    validators_hash: Hash
    transactions: list[Hash]


class Unbonding(Struct, frozen=True):
    number: int
    amount_atto: Atto
    begun_height: int
    matures: Time


class Account(Answer, frozen=True, kw_only=True):
    """An address that was never used has nothing and nonce 0. `bond_atto` is what it holds as an operator."""

    address: AccountText
    balance: Annotated[str, Meta(description="Decimal ANKR.")]
    balance_atto: Atto
    nonce: Annotated[int, Meta(description="What its next transaction must carry.")]
    bond_atto: Atto
    unbonding: list[Unbonding]
    rewards_atto: Annotated[Atto, Meta(description="The sum of all rewards that it ever got.")]
    service_level: int | None


class Validator(Struct, frozen=True):
    address: ValidatorText
    public_key: Hash
    power: int


class Validators(Answer, frozen=True, kw_only=True):
    """Who signs the block of `verified_height`, by its header's validators_hash."""

    validators: list[Validator]
    total_power: int


class Seat(Struct, frozen=True):
    operator: AccountText
    key: Annotated[int, Meta(description="Which of the operator's keys, from 0.")]
    since_epoch: int


class Seats(Answer, frozen=True, kw_only=True):
    """The keys that the last election seated, longest-seated first."""

    seats: list[Seat]


class Operator(Struct, frozen=True):
    """`jailed_until` is null unless jailed; one with `tombstoned` is jailed for ever."""

    address: AccountText
    name: str
    bond_atto: Atto
    keys: list[Hash]
    unbonding: list[int]
    jailed: bool
    jailed_until: Time | None
    tombstoned: bool


class Operators(Answer, frozen=True, kw_only=True):
    """All that elections look at: a key, the least bond, not tombstoned. `stake_atto` are their bonds together."""

    operators: list[AccountText]
    stake_atto: Atto


class OneOperator(Answer, frozen=True, kw_only=True):
    operator: Operator


class Device(Answer, frozen=True, kw_only=True):
    """`state` is "registered" or "revoked"; one that never was registered is `tx_unknown_device`."""

    device: Hash
    state: Literal["registered", "revoked"]
    owner: AccountText
    registered_height: int
    registered_epoch: int
    revoked_epoch: Annotated[int | None, Meta(description="Of the last time that it was revoked, if it ever was.")]


class Deal(Answer, frozen=True, kw_only=True):
    """`escrow_atto` is what is left in it; `used_atto` was metered, `paid_atto` of it is paid. Open without outcome."""

    deal: Hash
    customer: AccountText
    provider: AccountText
    app_provider: AccountText
    platform: AccountText
    app_permille: int
    terms: Hash
    escrow_atto: Atto
    used_atto: Atto
    paid_atto: Atto
    exhausted: bool
    outcome: Literal["done", "failed"] | None
    rated: bool


class Supply(Answer, frozen=True, kw_only=True):
    """The parts whose sum is the constant supply."""

    total_atto: Atto
    parts_atto: dict[str, Atto]
    reserved_atto: dict[str, Atto]


class Parameters(Answer, frozen=True, kw_only=True):
    """All parameters by name, units in the names; values are decimal text, as amounts pass 2^53."""

    parameters: dict[str, Atto]


class Bridge(Answer, frozen=True, kw_only=True):
    """Closed without guardians. `bridged_atto` is what may exist in ANKR's forms on other chains."""

    closed: bool
    paused: bool
    guardians: list[AccountText]
    threshold: int
    next_lock: int
    bridged_atto: dict[str, Atto]


class SignedTransaction(Struct, frozen=True, forbid_unknown_fields=True):
    """The canonical bytes of a signed transaction, as `docs/wallets.md` describes them."""

    transaction: Annotated[str, Meta(min_length=2, max_length=1_500_000)]
    encoding: Literal["hex", "base64"] = "hex"


class Sent(Answer, frozen=True, kw_only=True):
    """The node's CheckTx took it; its end is proven by asking for its hash."""

    hash: Hash
    state: Literal["sent"]


class Transaction(Answer, frozen=True, kw_only=True):
    """`committed`, `failed`: in the block of `height`, its result proven. `included`: the result is not provable yet.

    `code` is the registry's name of a failure. `log` is the node's word.
    """

    hash: Hash
    state: Literal["committed", "failed", "included"]
    height: int
    index: int
    code: str | None
    log: str
    type: str
    sender: AccountText | None
    nonce: int | None
    fee_atto: Atto | None
    bytes: Hex | None


class History(Answer, frozen=True, kw_only=True):
    """What the index tells of an address, newest first: transactions and codes were proven when they were indexed.

    `indexed` are its lowest and highest height; `verified_height` is null, as the index is believed here.
    """

    address: AccountText
    indexed: list[int]
    happenings: list[dict[str, Any]]
