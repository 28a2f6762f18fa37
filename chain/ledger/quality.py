"""Quality of service, credit and service level: the formulas.

Source: economics.md "Service level" (the note names the inputs and gives no formulas). Everything is out of
S = 1 000 000; counts come in times S. A dimension that nobody proved counts 0, never "as claimed".
"""

from __future__ import annotations

from chain.ledger.parameters import PERMILLE, Parameters
from chain.wire.state import SCALE

_PRIOR_RATINGS = 5
_PRIOR_STARS_X_SCALE = 5 * 3_500_000
_HONESTY_LOSS = (2, 3)
_HONESTY_RECOVERY = 100


def uptime(valid: int, expected: int) -> int:
    """U: valid heartbeats of those expected, at most S; 0 when none was expected. Monotone in `valid`."""
    return min(SCALE, valid * SCALE // expected) if expected else 0


def success_rate(good: int, bad: int) -> int:
    """C and P: `(good + S)*S // (good + bad + 2*S)`, counts times S: S//2 without evidence, towards the rate with it.

    Beta mean with one success and one failure before all evidence (Jøsang and Ismail 2002); monotone in `good`.
    """
    return (good + SCALE) * SCALE // (good + bad + 2 * SCALE)


def latency(target_ms: int, p95_ms: int | None) -> int:
    """L: `min(S, S*target // p95)`, S//2 until measured."""
    if p95_ms is None:
        return SCALE // 2
    return min(SCALE, SCALE * target_ms // max(1, p95_ms))


def rating(stars_sum: int, ratings: int) -> int:
    """R: stars of 1 to 5 mapped to 0 to S, with five ratings of 3.5 stars before all others."""
    return ((stars_sum * SCALE + _PRIOR_STARS_X_SCALE) // (ratings + _PRIOR_RATINGS) - SCALE) // 4


def quality(honesty: int, uptime: int, completion: int, proof: int, latency: int, rating: int, p: Parameters) -> int:
    """q: `honesty * ((300*U + 300*C + 200*P + 100*L + 100*R) // 1000) // S`, out of S; monotone in every factor."""
    weighted = (
        p.uptime_weight * uptime
        + p.completion_weight * completion
        + p.proof_weight * proof
        + p.latency_weight * latency
        + p.rating_weight * rating
    )
    return honesty * (weighted // PERMILLE) // SCALE


def proven_quality(honesty: int, uptime: int, proof: int, latency: int, p: Parameters) -> int:
    """`quality` with completion and rating as if there had been no deals: what rewards and elections weigh.

    Whoever deals with itself, or with a competitor, chooses outcomes and stars for the price of a transaction; a reward
    that they moved would be for sale (a search in the tests buys it where they count).
    """
    return quality(honesty, uptime, success_rate(0, 0), proof, latency, rating(0, 0), p)


def honesty_after_offence(honesty: int) -> int:
    """Two thirds are left after a proven invalid proof (a contradiction leaves 0)."""
    kept, of = _HONESTY_LOSS
    return honesty * kept // of


def honesty_after_clean_epoch(honesty: int) -> int:
    """One percent of what is missing comes back with every reward epoch of proven work without an offence."""
    return honesty + (SCALE - honesty) // _HONESTY_RECOVERY


def credit(on_time: int, defaulted: int, late: int, lost_disputes: int) -> int:
    """c: `(on_time + S)*S // (on_time + 3*defaults + late + lost_disputes + 2*S)`, counts times S."""
    return (on_time + SCALE) * SCALE // (on_time + 3 * defaulted + late + lost_disputes + 2 * SCALE)


def service_level(quality: int, work_uankr_h: int, credit: int, fees_paid_uankr: int, credit_permille: int) -> int:
    """SL: `q*V // S + kappa*c*Cons // (S*1000)`; additive in V and Cons, so splitting an identity never gains."""
    return quality * work_uankr_h // SCALE + credit_permille * credit * fees_paid_uankr // (SCALE * PERMILLE)


def proven_level(proven_quality: int, work_uankr_h: int) -> int:
    """`proven_q*V // S`: the service level that elections weigh; additive in V."""
    return proven_quality * work_uankr_h // SCALE


def remembered(count: int, kept_permille: int) -> int:
    """What is left of a count (times S) after one reward epoch: `980*x // 1000`."""
    return kept_permille * count // PERMILLE


def smoothed(value: int, new: int, kept_permille: int) -> int:
    """V and Cons: `(800*x + 200*new) // 1000` per reward epoch."""
    return (kept_permille * value + (PERMILLE - kept_permille) * new) // PERMILLE
