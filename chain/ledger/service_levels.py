"""Service levels as the state holds them: one entry per owner, folded forward when work is settled or looked at.

An owner who reports nothing costs nothing: the epochs since the last report are applied when the entry is read next,
one by one, so that the result is the same as if they had been applied at every boundary.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from chain.ledger import quality as q
from chain.ledger.activity import NOTHING, Activity
from chain.ledger.overlay import Overlay
from chain.ledger.parameters import Parameters
from chain.wire.bodies import BatchEntry
from chain.wire.state import SCALE, ServiceLevel, service_key

NOTHING_FOLDED = -1
ATTO_PER_UANKR = 10**12
NO_REPORT = BatchEntry(bytes(20), 0, 0, 0, 0, None, 0)

_COUNTS = (
    "heartbeats_valid",
    "heartbeats_expected",
    "tasks_done",
    "tasks_failed",
    "pog_passed",
    "pog_failed",
    "deals_on_time",
    "deals_defaulted",
    "deals_late",
    "disputes_lost",
)
_AVERAGES = ("work_uankr_h", "fees_paid_uankr")


def newcomer(p: Parameters) -> ServiceLevel:
    """The level of an owner of whom nothing is known: honest, unproven, worth nothing yet."""
    counts = dict.fromkeys((*_COUNTS, *_AVERAGES, "devices", "stars_sum", "ratings"), 0)
    unrated = dict.fromkeys(("quality", "credit", "service_level", "proven_quality", "proven_level"), 0)
    return with_figures(ServiceLevel(epoch=NOTHING_FOLDED, p95_ms=None, honesty=SCALE, **counts, **unrated), p)


def service_level_of(overlay: Overlay, owner: bytes, p: Parameters) -> ServiceLevel:
    """The entry as it stands, or a newcomer's."""
    return overlay.entry(service_key(owner), ServiceLevel) or newcomer(p)


def with_figures(level: ServiceLevel, p: Parameters) -> ServiceLevel:
    """The same counts with all five figures computed from them."""
    uptime = q.uptime(level.heartbeats_valid, level.heartbeats_expected)
    completion = q.success_rate(level.tasks_done, level.tasks_failed)
    proof = q.success_rate(level.pog_passed, level.pog_failed)
    latency = q.latency(p.latency_target_ms, level.p95_ms)
    stars = q.rating(level.stars_sum, level.ratings)
    quality = q.quality(level.honesty, uptime, completion, proof, latency, stars, p)
    proven_quality = q.proven_quality(level.honesty, uptime, proof, latency, p)
    credit = q.credit(level.deals_on_time, level.deals_defaulted, level.deals_late, level.disputes_lost)
    total = q.service_level(quality, level.work_uankr_h, credit, level.fees_paid_uankr, p.consumer_credit_permille)
    return msgspec.structs.replace(
        level,
        quality=quality,
        credit=credit,
        service_level=total,
        proven_quality=proven_quality,
        proven_level=q.proven_level(proven_quality, level.work_uankr_h),
    )


def after_silence(level: ServiceLevel, epoch: int, p: Parameters) -> ServiceLevel:
    """The level at the end of `epoch` if nothing was reported since: counts and averages fade, honesty stays."""
    silent_epochs = epoch - level.epoch
    if level.epoch == NOTHING_FOLDED or silent_epochs <= 0:
        return level
    faded = {name: faded_count(getattr(level, name), silent_epochs, p.count_kept_permille) for name in _COUNTS}
    for name in _AVERAGES:
        faded[name] = faded_average(getattr(level, name), silent_epochs, p.smoothing_kept_permille)
    return with_figures(msgspec.structs.replace(level, epoch=epoch, **faded), p)


def after_report(
    level: ServiceLevel, report: BatchEntry, epoch: int, p: Parameters, activity: Activity = NOTHING
) -> ServiceLevel:
    """The level at the end of `epoch`, for which `report` was accepted by the access layer and stood unchallenged."""
    worked = after_activity(level, activity, epoch, p, report)
    return with_figures(msgspec.structs.replace(worked, honesty=q.honesty_after_clean_epoch(worked.honesty)), p)


def after_activity(
    level: ServiceLevel, activity: Activity, epoch: int, p: Parameters, report: BatchEntry = NO_REPORT
) -> ServiceLevel:
    """The level at the end of `epoch` after its deals and ratings, and work if any was reported; honesty stays."""
    before = after_silence(level, epoch - 1, p)
    kept, fees_uankr = p.count_kept_permille, activity.fees_paid_atto // ATTO_PER_UANKR
    return with_figures(
        msgspec.structs.replace(
            before,
            epoch=epoch,
            heartbeats_valid=q.remembered(before.heartbeats_valid, kept) + report.heartbeats_valid * SCALE,
            heartbeats_expected=q.remembered(before.heartbeats_expected, kept) + report.heartbeats_expected * SCALE,
            pog_passed=q.remembered(before.pog_passed, kept) + report.pog_passed * SCALE,
            pog_failed=q.remembered(before.pog_failed, kept) + report.pog_failed * SCALE,
            tasks_done=q.remembered(before.tasks_done, kept) + activity.tasks_done * SCALE,
            tasks_failed=q.remembered(before.tasks_failed, kept) + activity.tasks_failed * SCALE,
            deals_on_time=q.remembered(before.deals_on_time, kept) + activity.deals_on_time * SCALE,
            deals_defaulted=q.remembered(before.deals_defaulted, kept) + activity.deals_defaulted * SCALE,
            deals_late=q.remembered(before.deals_late, kept) + activity.deals_late * SCALE,
            disputes_lost=q.remembered(before.disputes_lost, kept),
            p95_ms=before.p95_ms if report.p95_ms is None else report.p95_ms,
            stars_sum=before.stars_sum + activity.stars_sum,
            ratings=before.ratings + activity.ratings,
            work_uankr_h=q.smoothed(before.work_uankr_h, report.work, p.smoothing_kept_permille),
            fees_paid_uankr=q.smoothed(before.fees_paid_uankr, fees_uankr, p.smoothing_kept_permille),
        ),
        p,
    )


@lru_cache(maxsize=65_536)
def faded_count(count: int, epochs: int, kept_permille: int) -> int:
    """A count after `epochs` times `remembered`; ends early where nothing is left to forget."""
    for _ in range(epochs):
        fewer = q.remembered(count, kept_permille)
        if fewer == count:
            return count
        count = fewer
    return count


@lru_cache(maxsize=65_536)
def faded_average(value: int, epochs: int, kept_permille: int) -> int:
    """An average after `epochs` times `smoothed` with nothing new."""
    for _ in range(epochs):
        less = q.smoothed(value, 0, kept_permille)
        if less == value:
            return value
        value = less
    return value
