"""The golden numbers of the ledger's formulas."""

from __future__ import annotations

import pytest

from chain.ledger import quality
from chain.ledger.emission import emission, split_emission
from chain.ledger.factors import stake_held
from chain.ledger.fees import split_fee
from chain.ledger.parameters import Parameters
from chain.ledger.shares import largest_remainder, share
from chain.wire.bodies import BatchEntry
from chain.wire.state import SCALE as S
from chain.wire.state import reference_work, required_fee, reward_epoch_at
from chain.wire.transactions import ANKR

P = Parameters()
MINING = 4_000_000_000 * ANKR


def ankr_x10(amount: int) -> int:
    """Tenths of an ANKR, rounded to the nearest."""
    return (amount * 10 + ANKR // 2) // ANKR


def test_the_first_hour_emits_79_126_4_ankr() -> None:
    assert ankr_x10(emission(MINING, 3_600)) == 791_264


def test_a_demo_epoch_emits_65_9_ankr() -> None:
    assert ankr_x10(emission(MINING, 3)) == 659


def test_half_of_the_pool_is_left_after_four_years() -> None:
    left, remaining = MINING, {}
    for hour in range(8 * 8_766 + 1):
        if hour % 8_766 == 0:
            remaining[hour // 8_766] = left * 1_000 // MINING
        left -= emission(left, 3_600)
    assert [remaining[year] for year in (1, 2, 4, 8)] == [840, 706, 499, 249]  # 84.1, 70.7, 50.0, 25.0 % rounded down


def test_emission_is_split_40_30_15_10_5() -> None:
    assert split_emission(1_000, P) == (400, 300, 150, 100, 50)
    assert sum(split_emission(999, P)) <= 999


def test_a_fee_of_5_ankr_is_split_in_half_three_tenths_and_the_rest() -> None:
    assert split_fee(5 * ANKR, P) == (5 * ANKR // 2, 3 * ANKR // 2, ANKR)


def test_the_deal_fee_of_the_note_is_divided_without_a_lost_unit() -> None:
    assert largest_remainder(50_000, [30, 30, 40]) == [15_000, 15_000, 20_000]
    assert largest_remainder(11, [1, 1, 1]) == [4, 4, 3]
    assert largest_remainder(7, [0, 0]) == [0, 0]


def test_the_share_of_an_empty_sum_is_nothing() -> None:
    assert share(100, 0, 0) == 0


@pytest.mark.parametrize(("good", "bad", "rate"), [(95, 3, 960_000), (720, 4, 993_112), (0, 0, S // 2)])
def test_success_rates(good: int, bad: int, rate: int) -> None:
    assert quality.success_rate(good * S, bad * S) == rate


@pytest.mark.parametrize(("stars", "ratings", "value"), [(45, 10, 791_666), (5, 1, 687_500), (480, 100, 934_523)])
def test_ratings(stars: int, ratings: int, value: int) -> None:
    assert quality.rating(stars, ratings) == value


def test_quality_of_the_published_example() -> None:
    assert quality.quality(S, 998_000, 960_000, 993_112, 800_000, 900_000, P) == 956_022


def test_credit_of_forty_deals_on_time_and_one_late() -> None:
    assert quality.credit(40 * S, 0, 1 * S, 0) == 953_488


def test_uptime_is_at_most_whole_and_nothing_when_nothing_was_expected() -> None:
    assert quality.uptime(5, 4) == S
    assert quality.uptime(0, 0) == 0
    assert quality.uptime(1, 3) == 333_333


def test_latency_is_half_until_measured_and_never_divides_by_zero() -> None:
    assert quality.latency(200, None) == S // 2
    assert quality.latency(200, 0) == S
    assert quality.latency(200, 400) == S // 2
    assert quality.latency(200, 100) == S


def test_honesty_falls_by_a_third_and_comes_back_by_a_hundredth() -> None:
    fallen = quality.honesty_after_offence(S)
    assert fallen == 666_666
    assert quality.honesty_after_clean_epoch(fallen) == 669_999
    assert quality.honesty_after_clean_epoch(S) == S


def test_a_service_level_adds_work_and_paid_fees() -> None:
    assert quality.service_level(900_000, 40_000, 950_000, 10_000, 200) == 36_000 + 1_900


def test_counts_and_averages_fade() -> None:
    assert quality.remembered(S, 980) == 980_000
    assert quality.smoothed(1_000, 2_000, 800) == 1_200


def test_stake_counts_in_full_after_thirty_days() -> None:
    assert stake_held(1_000, 15 * 86_400, P.stake_full_age_s) == 500
    assert stake_held(1_000, 31 * 86_400, P.stake_full_age_s) == 1_000
    assert stake_held(1_000, -1, P.stake_full_age_s) == 0


def test_work_is_priced_by_what_was_proven() -> None:
    assert reference_work(P.by_name, pog_ops_per_s=20 * 10**9) == 20_000
    assert reference_work(P.by_name, vram_bytes=16 << 30, cpu_millicores=4_000) == 160_000 + 200_000
    assert reference_work(P.by_name) == 0


def test_only_bulky_transactions_pay_for_their_bytes() -> None:
    assert required_fee(4_096, P.by_name) == 5 * ANKR
    assert required_fee(5_096, P.by_name) == 6 * ANKR


def test_a_reward_epoch_begins_at_its_boundary() -> None:
    assert [reward_epoch_at(ns, 0, 3) for ns in (-1, 0, 3 * 10**9 - 1, 3 * 10**9)] == [-1, 0, 0, 1]


def test_parameters_survive_the_state_and_the_genesis_document() -> None:
    from chain.ledger.parameters import decode

    for parameters in (Parameters(), Parameters.demo()):
        assert decode(parameters.encode()) == parameters
        assert Parameters.from_json(parameters.to_json()) == parameters


def test_the_demo_differs_from_production_in_its_periods_alone() -> None:
    demo, production = Parameters.demo().by_name, Parameters().by_name
    assert {name for name in demo if demo[name] != production[name]} == {
        "block_interval_ms", "empty_block_interval_ms", "reward_epoch_s", "election_epoch_s",
        "challenge_window_epochs", "record_interval_ms", "pog_period_epochs", "pog_window_s", "unbonding_s",
            "challenge_response_s",
    }  # fmt: skip
    assert (demo["block_interval_ms"], demo["reward_epoch_s"], demo["pog_window_s"]) == (500, 3, 3)


def test_a_new_owner_with_a_perfect_device_can_be_elected_after_the_first_epochs() -> None:
    from chain.ledger.service_levels import after_report, newcomer

    level = newcomer(P)
    for epoch in range(3):
        level = after_report(level, BatchEntry(b"o" * 20, 60, 60, 1, 0, None, 20_000), epoch, P)
        assert level.quality > P.min_quality
    assert level.service_level > P.min_service_level
