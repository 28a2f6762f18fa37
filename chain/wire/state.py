"""Where the ledger keeps what, and how the values read: the part of the state that clients query and prove.

Every value is the canonical CBOR array of the struct's fields in their order (parameters are a map of names to
integers). Amounts are integers of 10^-18 ANKR (`_atto`), work is micro-ANKR per hour at the chain's reference prices
(`_uankr_h`), ratios and counts marked "x S" are scaled by S = 1 000 000, times are nanoseconds since the Unix epoch.

| key | value |
|---|---|
| `account/` address(20) | `Account` |
| `device/` device id(32) | `Device` |
| `revoked/` device id(32) | `RevokedDevice`, the last time that it was revoked |
| `service/` owner address(20) | `ServiceLevel` |
| `reward/` address(20) | `Reward` |
| `epoch/` u64be(reward epoch) | `EpochSummary` (the last `epoch_summaries_kept` of them) |
| `parameters` | map name -> integer, see `decode_parameters` |
| `supply` | `Supply` |
| `clock` | `Clock` |
| `pog/challenge` | `PogChallenge` |
| `pog/commit/` hub address(20) | `PogCommitment` |
| `hub/` hub address(20) | `Hub` |

Everything else under other prefixes is the ledger's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import msgspec

from chain.errors import Malformed
from chain.wire import cbor

SCALE = 1_000_000
ACCOUNT_PREFIX = b"account/"
PARAMETERS_KEY = b"parameters"
SUPPLY_KEY = b"supply"
CLOCK_KEY = b"clock"
POG_CHALLENGE_KEY = b"pog/challenge"

_SECOND_NS = 10**9


def account_key(address: bytes) -> bytes:
    return ACCOUNT_PREFIX + address


def device_key(device: bytes) -> bytes:
    return b"device/" + device


def revoked_key(device: bytes) -> bytes:
    return b"revoked/" + device


def service_key(owner: bytes) -> bytes:
    return b"service/" + owner


def reward_key(address: bytes) -> bytes:
    return b"reward/" + address


def epoch_key(reward_epoch: int) -> bytes:
    return b"epoch/" + reward_epoch.to_bytes(8, "big")


def hub_key(hub: bytes) -> bytes:
    return b"hub/" + hub


def pog_commitment_key(hub: bytes) -> bytes:
    return b"pog/commit/" + hub


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A value of the state: its fields in order are the CBOR array."""

    def encode(self) -> bytes:
        """Canonical CBOR of the array."""
        return cbor.encode(msgspec.to_builtins(self, builtin_types=(bytes,)))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `malformed` or `non_canonical` when `data` is not exactly such an array."""
        try:
            return msgspec.convert(cbor.decode(data), cls)
        except msgspec.ValidationError as error:
            raise Malformed("malformed", f"the state value is not {cls.__name__}: {error}") from error


class Account(Entry, frozen=True):
    """What an address owns, and the nonce its next transaction must carry; absent means (0, 0)."""

    balance_atto: int
    nonce: int


class Device(Entry, frozen=True):
    """A registered device: rewards for its work go to `owner`; `key` is its COSE_Key."""

    owner: bytes
    key: dict[int, int | bytes]
    registered_height: int
    registered_epoch: int


class RevokedDevice(Entry, frozen=True):
    """A device as it was registered, and the reward epoch in which that ended; stays when it is registered anew."""

    device: Device
    revoked_epoch: int


class ServiceLevel(Entry, frozen=True):
    """An owner's quality, verified work and credit as folded up to reward epoch `epoch` (-1: nothing folded yet).

    Counts are times S and decay by `count_kept_permille` each reward epoch, `work_uankr_h` and `fees_paid_uankr` are
    smoothed; epochs after `epoch` without a report have not been applied yet (the ledger applies them when it needs
    the figures). `quality`, `credit` are out of S. Customers look at `quality` and `service_level`; rewards and
    elections weigh `proven_quality` and `proven_level`, which leave out all that an owner could buy from itself.
    """

    devices: int
    epoch: int
    heartbeats_valid: int
    heartbeats_expected: int
    tasks_done: int
    tasks_failed: int
    pog_passed: int
    pog_failed: int
    p95_ms: int | None
    stars_sum: int
    ratings: int
    honesty: int
    work_uankr_h: int
    deals_on_time: int
    deals_defaulted: int
    deals_late: int
    disputes_lost: int
    fees_paid_uankr: int
    quality: int
    credit: int
    service_level: int
    proven_quality: int
    proven_level: int


class ProviderReward(Entry, frozen=True):
    """Every number that went into a provider's reward for the work of `reward_epoch`.

    score = quality * (stake_weight*S*stake//stake_sum + work_weight*S*work//work_sum);
    fees_pot = min(pool*consumption_weight//1000, gamma*fees_paid_sum//1000);
    by_fees = min(fees_pot * quality*fees_paid // quality_fees_sum, gamma*fees_paid//1000);
    amount = (pool - fees_pot) * score // score_sum + by_fees.
    """

    reward_epoch: int
    heartbeats_valid: int
    heartbeats_expected: int
    pog_passed: int
    pog_failed: int
    p95_ms: int | None
    quality: int
    stake_atto: int
    stake_sum_atto: int
    fees_paid_atto: int
    fees_paid_sum_atto: int
    work_uankr_h: int
    work_sum_uankr_h: int
    score: int
    score_sum: int
    pool_atto: int
    fees_pot_atto: int
    quality_fees_sum: int
    by_fees_atto: int
    amount_atto: int


class CountReward(Entry, frozen=True):
    """A share by counting in `reward_epoch` (precommits, accepted batches): amount = pool * count // count_sum."""

    reward_epoch: int
    count: int
    count_sum: int
    pool_atto: int
    amount_atto: int


class ConsumerReward(Entry, frozen=True):
    """For platform fees paid in `reward_epoch`.

    amount = min(pool * quality*fees_paid // quality_fees_sum, gamma*fees_paid//1000 - what they earned as a provider).
    """

    reward_epoch: int
    quality: int
    fees_paid_atto: int
    quality_fees_sum: int
    earned_before_atto: int
    pool_atto: int
    amount_atto: int


class Reward(Entry, frozen=True):
    """The last reward of an address: paid when `closed_epoch` ended, `height` of that block; null roles earned nothing.

    `total_atto` is the sum of all rewards that the address ever got.
    """

    closed_epoch: int
    height: int
    time_ns: int
    amount_atto: int
    total_atto: int
    provider: ProviderReward | None
    producer: CountReward | None
    verifier: CountReward | None
    consumer: ConsumerReward | None = None


class BatchReference(Entry, frozen=True):
    """A paid proof batch: who verified it and the Merkle-sum root over its `count` records."""

    hub: bytes
    root: bytes
    count: int
    bytes_total: int
    sum_uankr_h: int
    height: int


class EpochSummary(Entry, frozen=True):
    """What the boundary that ended reward epoch `epoch` shared out, and for which batches.

    emission + fees = providers + producers + verifiers + consumers + returned; `settled_epoch` is the epoch whose
    batches were paid (null while none can be yet).
    """

    epoch: int
    height: int
    time_ns: int
    emission_atto: int
    fees_atto: int
    settled_epoch: int | None
    batches: tuple[BatchReference, ...]
    providers_atto: int
    producers_atto: int
    verifiers_atto: int
    consumers_atto: int
    returned_atto: int
    recipients: int
    mining_left_atto: int


class Supply(Entry, frozen=True):
    """The parts whose sum is the constant supply.

    `bonds_atto` holds what is unbonding too, `escrow_atto` deals and bonds of challenges, `bridged_…` what may exist in
    ANKR's forms on other chains; `reserved` are the shares that no account holds yet.
    """

    accounts_atto: int
    bonds_atto: int
    mining_atto: int
    reward_pool_atto: int
    payable_atto: int
    escrow_atto: int
    bridged_bep2_atto: int
    bridged_erc20_atto: int
    reserved: tuple[tuple[str, int], ...]

    @property
    def total_atto(self) -> int:
        held = self.accounts_atto + self.bonds_atto + self.escrow_atto
        bridged = self.bridged_bep2_atto + self.bridged_erc20_atto
        pools = self.mining_atto + self.reward_pool_atto + self.payable_atto
        return held + bridged + pools + sum(amount for _, amount in self.reserved)


class Clock(Entry, frozen=True):
    """Where the chain stands in its two periods; -1 before the first block."""

    genesis_time_ns: int
    reward_epoch: int
    election_epoch: int


class PogChallenge(Entry, frozen=True):
    """The newest scheduled challenge: everybody answers the beacon of `height`."""

    height: int
    time_ns: int
    reward_epoch: int
    beacon: bytes


class PogCommitment(Entry, frozen=True):
    """A hub's last commitment: root of the sorted device commitments to the challenge, and the block that holds it."""

    challenge_height: int
    root: bytes
    count: int
    height: int


class Hub(Entry, frozen=True):
    """A hub that may send proof batches and PoG commitments."""

    name: str


def encode_parameters(parameters: Mapping[str, int]) -> bytes:
    """Canonical CBOR of the map from parameter names to integers."""
    return cbor.encode(dict(parameters))


def decode_parameters(data: bytes) -> dict[str, int]:
    """The chain parameters by name (units in the names); raises `malformed`."""
    try:
        return msgspec.convert(cbor.decode(data), dict[str, int])
    except msgspec.ValidationError as error:
        raise Malformed("malformed", f"the state value is not the parameters: {error}") from error


def reward_epoch_at(time_ns: int, genesis_time_ns: int, reward_epoch_s: int) -> int:
    """The reward epoch that a block with this header time belongs to; -1 before genesis."""
    return max(-1, (time_ns - genesis_time_ns) // (reward_epoch_s * _SECOND_NS))


def required_fee(size_bytes: int, parameters: Mapping[str, int]) -> int:
    """The least fee in atto of a transaction of `size_bytes` encoded bytes.

    A flat fee, and `byte_fee_atto` for every byte past `bulk_free_bytes`. Source: the note's fixed 5 ANKR;
    economics.md "bulky transactions also pay gas". Monotone in the size.
    """
    bulk_bytes = max(0, size_bytes - parameters["bulk_free_bytes"])
    return parameters["transaction_fee_atto"] + bulk_bytes * parameters["byte_fee_atto"]


def reference_work(
    parameters: Mapping[str, int],
    *,
    pog_ops_per_s: int = 0,
    vram_bytes: int = 0,
    cpu_millicores: int = 0,
    ram_bytes: int = 0,
    disk_bytes: int = 0,
    bandwidth_bit_per_s: int = 0,
) -> int:
    """Verified work in micro-ANKR per hour at the chain's reference prices; pass only what was proven (unproven: 0).

    Source: economics.md, reference prices. Each dimension is priced and floored by itself; monotone in every one.
    """
    return (
        parameters["price_pog_teraop_uankr_h"] * pog_ops_per_s // 10**12
        + parameters["price_vram_gib_uankr_h"] * vram_bytes // 2**30
        + parameters["price_cpu_core_uankr_h"] * cpu_millicores // 1000
        + parameters["price_ram_gib_uankr_h"] * ram_bytes // 2**30
        + parameters["price_disk_gib_uankr_h"] * disk_bytes // 2**30
        + parameters["price_bandwidth_mbit_uankr_h"] * bandwidth_bit_per_s // 10**6
    )
