"""The chain's parameters: integers only, units in the names, defaults of production.

They are written into the genesis document and into the state under `parameters`; nothing else configures the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

from chain.errors import Malformed
from chain.wire.state import PARAMETERS_KEY, decode_parameters, encode_parameters
from chain.wire.transactions import ANKR

PERMILLE = 1000
SUPPLY_ATTO = 10_000_000_000 * ANKR

_HIGHEST = (1 << 128) - 1


@dataclass(frozen=True)
class Parameters:
    """Every parameter of the chain. Weights and shares are permille unless the name says otherwise."""

    # Time
    block_interval_ms: int = 1_000
    empty_block_interval_ms: int = 15_000
    reward_epoch_s: int = 3_600
    election_epoch_s: int = 86_400
    challenge_window_epochs: int = 24
    record_interval_ms: int = 60_000
    pog_period_epochs: int = 1
    pog_window_s: int = 30
    # Fees
    transaction_fee_atto: int = 5 * ANKR
    bulk_free_bytes: int = 4_096
    byte_fee_atto: int = ANKR // 1_000
    fee_proposer_permille: int = 500
    fee_precommits_permille: int = 300
    sponsor_quota: int = 10
    # Emission and its split
    emission_horizon_h: int = 50_552
    providers_permille: int = 400
    producers_permille: int = 300
    relays_permille: int = 150
    consumers_permille: int = 100
    verifiers_permille: int = 50
    # The four factors
    stake_weight: int = 250
    consumption_weight: int = 150
    work_weight: int = 600
    stake_full_age_s: int = 30 * 86_400
    gamma_permille: int = 900
    # Service level
    uptime_weight: int = 300
    completion_weight: int = 300
    proof_weight: int = 200
    latency_weight: int = 100
    rating_weight: int = 100
    latency_target_ms: int = 200
    count_kept_permille: int = 980
    smoothing_kept_permille: int = 800
    consumer_credit_permille: int = 200
    # Reference prices per hour
    price_pog_teraop_uankr_h: int = 1_000_000
    price_vram_gib_uankr_h: int = 10_000
    price_cpu_core_uankr_h: int = 50_000
    price_ram_gib_uankr_h: int = 10_000
    price_disk_gib_uankr_h: int = 100
    price_bandwidth_mbit_uankr_h: int = 1_000
    # Producers
    seats: int = 100
    validator_power: int = 1
    min_bond_atto: int = 100_000 * ANKR
    min_service_level: int = 1_000
    min_quality: int = 600_000
    min_provider_stake_atto: int = 0
    genesis_election_epochs: int = 3
    candidate_age_election_epochs: int = 2
    unbonding_s: int = 21 * 86_400
    # Offences
    double_sign_slash_ppm: int = 50_000
    downtime_slash_ppm: int = 100
    downtime_window_blocks: int = 10_000
    downtime_min_signed_permille: int = 500
    downtime_jail_s: int = 600
    challenge_bond_atto: int = 100 * ANKR
    challenge_response_s: int = 6 * 3_600
    withheld_slash_ppm: int = 5_000
    false_batch_slash_ppm: int = 10_000
    # Deals
    deal_fee_bp: int = 500
    deal_fee_on_top: int = 0
    deal_provider_permille: int = 300
    deal_app_permille: int = 300
    deal_platform_permille: int = 400
    deal_grace_s: int = 86_400
    min_deal_atto: int = ANKR
    # Deciding
    motion_s: int = 7 * 86_400
    multisig_spend_s: int = 7 * 86_400
    # The bridge
    bridge_daily_limit_atto: int = 10_000_000 * ANKR
    # Limits
    credits_per_block: int = 10_000
    unbonds_per_block: int = 1_000
    epoch_summaries_kept: int = 1_000

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if type(value) is not int or not 0 <= value <= _HIGHEST:
                raise Malformed("malformed", f"parameter {name} is {value!r}, not an integer from 0 to 2^128 - 1")
        for name in _POSITIVE:
            if not getattr(self, name):
                raise Malformed("malformed", f"parameter {name} must be above 0")
        for group in _WHOLE:
            if sum(getattr(self, name) for name in group) != PERMILLE:
                raise Malformed("malformed", f"the parameters {', '.join(group)} must add up to {PERMILLE}")
        for name in _FRACTIONS:
            if getattr(self, name) > PERMILLE:
                raise Malformed("malformed", f"parameter {name} must not be above {PERMILLE}")
        if self.deal_fee_bp > 10_000 or self.deal_fee_on_top > 1:
            raise Malformed("malformed", "deal_fee_bp is at most 10 000, deal_fee_on_top 0 or 1")
        if self.fee_proposer_permille + self.fee_precommits_permille > PERMILLE:
            raise Malformed("malformed", "proposer and precommits cannot get more than the whole fee")

    @classmethod
    def demo(cls) -> Parameters:
        """A whole life in a minute: seconds instead of hours, everything else as in production."""
        return cls(
            block_interval_ms=500,
            empty_block_interval_ms=500,
            reward_epoch_s=3,
            election_epoch_s=300,
            challenge_window_epochs=1,
            record_interval_ms=1_000,
            pog_period_epochs=2,
            pog_window_s=3,
            unbonding_s=600,
            challenge_response_s=2,
        )

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Parameters:
        """From the genesis document: integers, or decimal strings for amounts; a missing name has its default."""
        known = {field.name for field in fields(cls)}
        values: dict[str, int] = {}
        for name, value in document.items():
            if name not in known:
                raise Malformed("malformed", f"the chain has no parameter {name!r}")
            values[name] = amount_from_json(value, name) if name.endswith("_atto") else value
        return cls(**values)

    def to_json(self) -> dict[str, int | str]:
        """For the genesis document; every parameter is written out, amounts as decimal strings."""
        return {name: str(value) if name.endswith("_atto") else value for name, value in asdict(self).items()}

    @cached_property
    def by_name(self) -> Mapping[str, int]:
        """The parameters as the state holds them."""
        return asdict(self)

    def encode(self) -> bytes:
        return encode_parameters(self.by_name)


@lru_cache(maxsize=16)
def decode(data: bytes) -> Parameters:
    """The parameters that the state holds under `parameters`."""
    return Parameters(**decode_parameters(data))


def amount_from_json(value: object, name: str) -> int:
    """An amount in 10^-18 ANKR written as a decimal string; raises `malformed`."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 40 and int(value) <= _HIGHEST:
        return int(value)
    raise Malformed("malformed", f"{name} is {value!r}, not a decimal string of 10^-18 ANKR")


_POSITIVE = (
    "reward_epoch_s",
    "election_epoch_s",
    "pog_period_epochs",
    "pog_window_s",
    "emission_horizon_h",
    "stake_full_age_s",
    "latency_target_ms",
    "seats",
    "validator_power",
    "credits_per_block",
    "unbonds_per_block",
    "downtime_window_blocks",
    "epoch_summaries_kept",
)
_WHOLE = (
    ("providers_permille", "producers_permille", "relays_permille", "consumers_permille", "verifiers_permille"),
    ("stake_weight", "consumption_weight", "work_weight"),
    ("deal_provider_permille", "deal_app_permille", "deal_platform_permille"),
    ("uptime_weight", "completion_weight", "proof_weight", "latency_weight", "rating_weight"),
)
_FRACTIONS = (
    "gamma_permille",
    "count_kept_permille",
    "smoothing_kept_permille",
    "consumer_credit_permille",
    "downtime_min_signed_permille",
)

__all__ = ["PARAMETERS_KEY", "PERMILLE", "SUPPLY_ATTO", "Parameters", "amount_from_json", "decode"]
