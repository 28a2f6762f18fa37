"""The updater: looks for a release, installs it, and starts it in the owner's window. One turn is one decision.

It decides by what is on the disk and what is signed; its own record only remembers what neither can say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from appliance import uki
from appliance.agent.updates import boot_entries, catalogue, settings
from appliance.agent.updates.boot_folder import BootFolder
from appliance.agent.updates.catalogue import Offer
from appliance.agent.updates.installer import Installer
from appliance.agent.updates.pauses import LOOK_S, REOPEN_S, RETRY_S
from appliance.agent.updates.record import MOST_GIVEN_UP, Installed, RecordFile, State
from appliance.agent.updates.settings import Settings
from appliance.agent.updates.slots import Slots, find
from appliance.agent.updates.sources import Source
from appliance.releases import trust
from chain import files
from chain.errors import DccnError, Refused

RELEASE: Final = Path("usr/lib/os-release")
SYNCHRONISED: Final = Path("run/systemd/timesync/synchronized")
ESP: Final = Path("efi")
CLUSTER_S: Final = 900.0
"""By then a cluster that starts with the machine is there."""
SHOWN_EVERY_S: Final = 2.0


@dataclass(slots=True)
class Machine:
    """What the updater stands on; tests replace it piece by piece. `ask` is the root helper's."""

    root: Path
    ask: Callable[..., object]
    now: Callable[[], datetime] = lambda: datetime.now().astimezone()
    boot_id: Callable[[], str] = lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    uptime_s: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    sources: Callable[[Settings], Sequence[Source]] = field(default=settings.sources)
    slots: Callable[[], Slots] = field(default=find)

    @property
    def boot(self) -> BootFolder:
        return BootFolder(self.root / ESP)

    def named(self) -> dict[str, str]:
        """What the running system calls itself."""
        return uki.fields((self.root / RELEASE).read_text("utf-8", "replace"))


class Updater:
    """`turn` does what is to be done now and returns after how many seconds it wants to be asked again."""

    def __init__(self, machine: Machine, state: Path, kept: RecordFile) -> None:
        self._machine = machine
        self._state = state
        self._kept = kept
        self._shown_s = 0.0

    def turn(self) -> float:
        """Never raises DccnError: what failed is in the record, with its code."""
        record = self._kept.record
        try:
            chosen = settings.load(self._machine.root)
            record.channel, record.version = chosen.channel, self._machine.named().get("IMAGE_VERSION")
            self._note_given_up()
            pause_s = self._turn(chosen)
        except DccnError as error:
            self._set("failed", error.message, error.code)
            pause_s = RETRY_S
        except OSError as error:
            fault = files.as_faulty(error, f"reading {error.filename}")
            self._set("failed", fault.message, fault.code)
            pause_s = RETRY_S
        pause_s = self._reopen(pause_s)
        record.next_look_ms = self._now_ms() + int(pause_s * 1000)
        self._save()
        return pause_s

    def _turn(self, chosen: Settings) -> float:
        trusted = files.read(self._machine.root / trust.PLACE, trust.MAX_BYTES)
        if not chosen.enabled or trusted is None:
            why = "the owner switched updates off" if trusted else "this image was built without a trusted root"
            self._set("off", why)
            return LOOK_S
        slots = self._machine.slots()
        self._settle(slots)
        offer = self._look(chosen, trusted)
        if offer is not None and self._is_wanted(offer, slots):
            self._install(offer, slots)
        return self._start_in_window(chosen) if self._kept.record.installed else LOOK_S

    def _look(self, chosen: Settings, trusted: bytes) -> Offer | None:
        """The newest release of all sources. A source that fails is told when none of the others offers one."""
        record = self._kept.record
        self._set("looking")
        self._check_clock()
        found: list[Offer] = []
        failures: list[DccnError] = []
        for source in self._machine.sources(chosen):
            try:
                profile = self._machine.named().get("VARIANT_ID", "")
                offer = catalogue.newest(source, trusted, self._state, channel=chosen.channel, profile=profile)
            except DccnError as error:
                failures.append(self._with_clock(error))
                continue
            found += [offer] if offer is not None else []
        record.looked_ms = self._now_ms()
        if failures and not found:
            raise failures[0]
        best = max(found, key=lambda offer: offer.description.release, default=None)
        record.offered = None if best is None else best.description.release
        record.source = None if best is None else best.source.name
        self._set("current", None if best else "no source has a release for this machine")
        return best

    def _is_wanted(self, offer: Offer, slots: Slots) -> bool:
        record, described = self._kept.record, offer.description
        if described.root_hash == slots.root_hash.hex():
            record.release = max(record.release, described.release)
            return False
        if described.release <= record.release:
            self._set("current", f"release {described.release} is not newer than {record.release}, which runs")
            return False
        if described.version in record.given_up:
            self._set("current", f"release {described.release} was tried and given up")
            return False
        installed = record.installed
        return installed is None or installed.root_hash != described.root_hash

    def _install(self, offer: Offer, slots: Slots) -> None:
        record, described = self._kept.record, offer.description
        record.installed = None
        self._set("installing")
        self._save()
        done = Installer(slots, self._machine.boot, self._note_progress).install(offer)
        record.installed = Installed(
            release=described.release,
            version=described.version,
            root_hash=described.root_hash,
            entry=done.entry,
            fetched_bytes=done.fetched_bytes,
            total_bytes=done.total_bytes,
        )

    def _settle(self, slots: Slots) -> None:
        """What became of the release that was installed last: it runs, it waits, or it is gone."""
        record = self._kept.record
        installed = record.installed
        if installed is None:
            return
        if bytes.fromhex(installed.root_hash) == slots.root_hash:
            record.release, record.installed = max(record.release, installed.release), None
        elif not self._machine.boot.of_root(bytes.fromhex(installed.root_hash)) or installed.version in record.given_up:
            record.installed = None

    def _start_in_window(self, chosen: Settings) -> float:
        """Tell the machine to start again, once; work is moved elsewhere first."""
        record = self._kept.record
        assert record.installed is not None
        wait_s = chosen.opens.wait(self._machine.now()).total_seconds()
        if wait_s > 0:
            self._set("waiting", f"release {record.installed.release} starts in the window {chosen.window}")
            return min(wait_s, LOOK_S)
        what = f"release {record.installed.release}, version {record.installed.version}"
        self._set("restarting", f"{what} is started")
        record.installed.restarted = True
        record.closed_in = self._machine.boot_id()
        self._save()
        try:
            self._machine.ask("drain")
        except DccnError as error:
            # Work that does not leave in time starts again somewhere; it must not keep a machine from its updates.
            self._set("restarting", f"{what} is started, although work is left: {error.message}", error.code)
        self._machine.ask("reboot", {"reason": what})
        return RETRY_S

    def _reopen(self, pause_s: float) -> float:
        """After the restart let work in again; asked several times, since the cluster takes a while to be there."""
        record = self._kept.record
        if record.closed_in is None or record.closed_in == self._machine.boot_id():
            return pause_s
        try:
            self._machine.ask("resume")
        except DccnError:
            return min(pause_s, REOPEN_S)
        if self._machine.uptime_s() < CLUSTER_S:
            return min(pause_s, REOPEN_S)
        record.closed_in = None
        return pause_s

    def _note_given_up(self) -> None:
        """Versions whose tries are used up: the boot partition says so only until the next installation."""
        record = self._kept.record
        try:
            entries = [boot_entries.parse(name) for name in self._machine.boot.names()]
        except DccnError:
            return
        spent = [entry.version for entry in entries if entry is not None and entry.is_spent]
        record.given_up = list(dict.fromkeys([*record.given_up, *spent]))[-MOST_GIVEN_UP:]

    def _check_clock(self) -> None:
        """Signatures end by the clock. One that is before the image was made shows no time at all."""
        built_s = int((self._machine.root / RELEASE).stat().st_mtime)
        now_s = self._now_ms() // 1000
        if now_s < built_s:
            raise Refused("clock_off", f"this machine's clock shows {now_s}, its own image was made at {built_s}")

    def _with_clock(self, error: DccnError) -> DccnError:
        if "expired" in error.message and not (self._machine.root / SYNCHRONISED).exists():
            return Refused("clock_off", f"{error.message}; or this machine's clock, which nobody has set, is ahead")
        return error

    def _note_progress(self, step: str, done: int, total: int) -> None:
        record = self._kept.record
        record.step, record.done_bytes, record.step_bytes = step, done, total
        if time.monotonic() - self._shown_s >= SHOWN_EVERY_S:
            self._shown_s = time.monotonic()
            self._kept.show()

    def _save(self) -> None:
        """A full data partition keeps no machine from its update: the disks themselves say what was installed."""
        try:
            self._kept.save()
        except DccnError as error:
            self._kept.record.reason = f"{self._kept.record.reason or 'this is not kept'}; {error.message}"
            self._kept.show()

    def _set(self, state: State, reason: str | None = None, code: str | None = None) -> None:
        record = self._kept.record
        record.state, record.reason, record.code = state, reason, code
        if state != "installing":
            record.step = record.done_bytes = record.step_bytes = None
        self._kept.show()

    def _now_ms(self) -> int:
        return int(self._machine.now().timestamp() * 1000)
