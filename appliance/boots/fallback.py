"""Whether this system runs because a newer one was given up, and what is known of the newer one's end."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.agent.updates import boot_entries
from appliance.boots.records import SILENT, UNOPENED, Boot, Fallback


def find(
    running: str | None, names: Sequence[str], boots: Sequence[Boot], now_ms: int, panic: str | None = None
) -> Fallback | None:
    """`names` are the loader's entries, `boots` those that were recorded, `panic` the last words of a kernel
    that ended in the boot before; None if no newer version was given up.

    An entry with tries left, or one that needs none, is passed over only when its initramfs found no root for it. The
    loader's own counter is the witness: it says how often the version was started, also where the version itself
    never came to write a word.
    """
    if running is None or not boot_entries.is_version(running):
        return None
    own = boot_entries.version_key(running)
    entries = (entry for name in boot_entries.in_order(names) if (entry := boot_entries.parse(name)) is not None)
    entry = next((each for each in entries if boot_entries.version_key(each.version) > own), None)
    if entry is None:
        return None
    if not entry.is_spent:
        return Fallback(version=entry.version, running=running, tries=entry.done, reasons=[UNOPENED], since_ms=now_ms)
    mine = [each for each in boots if each.version == entry.version][-entry.done :] if entry.done else []
    told = list(dict.fromkeys(reason for each in mine if each.outcome == "unhealthy" for reason in each.reasons))
    silent = entry.done - sum(each.outcome == "unhealthy" for each in mine)
    if silent:
        how = f"{SILENT}: {panic or 'a panic, a hang or a power cut'}"
        told.append(f"{silent} of {entry.done} boots {how}" if entry.done > 1 else how)
    return Fallback(version=entry.version, running=running, tries=entry.done, reasons=told, since_ms=now_ms)
