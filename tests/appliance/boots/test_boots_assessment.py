"""Boots are recorded and judged by local checks in bounded time; of an update that was given up the reason is told."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.agent.boot_report import BootReport
from appliance.agent.updates.boot_entries import Entry
from appliance.boots import checks, fallback, records
from appliance.boots.assessment import Assessment
from appliance.boots.checks import Machine
from appliance.boots.loader import VENDOR, Loader
from appliance.boots.records import SILENT, UNOPENED, Boot, Records

NOW_MS = 1_800_000_000_000


class Box:
    """A machine as a folder: its boot partition, variables, data partition and what the agent says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.second = 0.0
        self.failed_units = ""
        self.kubernetes = (127, "")
        self.k3s_state = "SubState=running\nNRestarts=0\n"
        self.broker = False
        for folder in ("efi/EFI/Linux", "sys/firmware/efi/efivars", "var/lib/dccn", "usr/lib", "proc/sys/kernel/random",
                       "run/dccn", "run/dccn-face", "proc/77", "var/lib/dccn-agent"):  # fmt: skip
            (root / folder).mkdir(parents=True)
        self.write("run/dccn/slot", "b")
        self.starts("2", "dccn_2+2-1.efi", "dccn_1.efi")
        self.says(is_running=True, pid=77, enrolled=True, spool_records=0, connected=True)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def starts(self, version: str, *entries: str, boot: str = "1" * 32) -> None:
        """The loader started the first of these entries."""
        for old in (self.root / "efi/EFI/Linux").iterdir():
            old.unlink()
        for name in entries:
            self.write(f"efi/EFI/Linux/{name}", "")
        self.write("usr/lib/os-release", f'ID=debian\nIMAGE_VERSION="{version}"\n')
        self.write("proc/sys/kernel/random/boot_id", boot)
        path = self.root / f"sys/firmware/efi/efivars/LoaderBootCountPath-{VENDOR}"
        if "+" in entries[0]:
            path.write_bytes(bytes(4) + f"\\EFI\\Linux\\{entries[0]}\0".encode("utf-16-le"))
        else:
            path.unlink(missing_ok=True)

    def says(self, **status: Any) -> None:
        self.write("run/dccn-face/status.json", json.dumps(status))

    def run(self, argv: Sequence[str]) -> tuple[int, str]:
        match argv[0], argv[1]:
            case "systemctl", "list-units":
                return 0, self.failed_units
            case "systemctl", "is-enabled":
                return (0, "enabled\n") if self.kubernetes[0] != 127 else (1, "")
            case "systemctl", "show":
                return 0, self.k3s_state
            case "k3s", _:
                return self.kubernetes
            case "journalctl", _:
                return 0, "the last words\n"
        raise AssertionError(argv)

    def assessment(self) -> Assessment:
        def sleep(seconds: float) -> None:
            self.second += seconds

        return Assessment(
            self.root,
            Loader(self.root),
            Machine(root=self.root, run=self.run, reaches=lambda _host, _port: self.broker),
            sleep=sleep,
            monotonic_s=lambda: self.second,
            now_ms=lambda: NOW_MS,
        )

    def records(self) -> Records:
        return records.load(self.root / records.FILE)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_healthy_system_is_kept_and_its_measure_recorded(box: Box) -> None:
    box.write("sys/class/net/eth0/device/vendor", "")
    box.write("sys/class/net/lo/mtu", "")
    assessment = box.assessment()
    assessment.begin()
    boot = assessment.judge()
    assert (boot.outcome, boot.reasons, boot.assessed, boot.slot) == ("healthy", [], True, "b")
    assert (boot.network_cards, boot.gpus, boot.hub_reached) == (1, 0, True)
    assert box.records().boots == [boot]


def test_a_boot_that_ends_before_its_check_leaves_a_trace(box: Box) -> None:
    box.assessment().begin()
    assert [(boot.version, boot.outcome) for boot in box.records().boots] == [("2", "begun")]


def test_a_boot_is_recorded_once_however_often_it_is_asked_for(box: Box) -> None:
    for _ in range(3):
        box.assessment().begin()
    assert len(box.records().boots) == 1


def _spoil_agent(box: Box) -> None:
    box.says(is_running=False, pid=77)


def _kill_agent(box: Box) -> None:
    (box.root / "proc/77").rmdir()


def _lose_spool(box: Box) -> None:
    box.says(is_running=True, pid=77, enrolled=True, spool_records=None)


def _fail_unit(box: Box) -> None:
    box.failed_units = "dccn-healthy.service loaded failed failed x\nsystemd-networkd.service loaded failed failed y\n"


def _unready_node(box: Box) -> None:
    box.kubernetes = (0, "False")


def _lose_data(box: Box) -> None:
    (box.root / "var/lib/dccn").rmdir()
    box.write("var/lib/dccn", "")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_spoil_agent, "agent: it does not run"),
        (_kill_agent, "agent: it does not run"),
        (_lose_spool, "agent: its spool"),
        (_fail_unit, "units: systemd-networkd.service failed"),
        (_unready_node, "k3s: the node is not ready"),
        (_lose_data, "data: writing fails"),
    ],
)
def test_each_thing_that_is_missing_is_a_reason(box: Box, spoil: Any, said: str) -> None:
    spoil(box)
    boot = box.assessment().judge()
    assert boot.outcome == "unhealthy"
    assert boot.reasons[0].startswith(said) and len(boot.reasons) == 1


def test_other_units_may_fail(box: Box) -> None:
    box.failed_units = "apt-daily.service loaded failed failed x\ndccn-healthy.service loaded failed failed y\n"
    assert box.assessment().judge().outcome == "healthy"


def test_a_service_that_falls_over_again_is_not_up(box: Box) -> None:
    assessment = box.assessment()
    looks = iter([[], [], ["agent: it does not run"], *[[]] * 20])
    found: list[float] = []

    class Flickering(Machine):
        def faults(self) -> list[str]:
            found.append(box.second)
            return list(next(looks))

    assessment.machine = Flickering(root=box.root, run=box.run)
    assert assessment._watch() == []
    assert found[-1] >= 2 + 5, "the five quiet seconds begin anew after a fault"


def test_the_judgement_takes_bounded_time_and_keeps_the_last_messages(box: Box) -> None:
    box.says()
    boot = box.assessment().judge()
    assert 240 <= box.second < 250
    assert boot.log is not None and Path(boot.log).read_text() == "the last words\n"


@pytest.mark.parametrize(
    ("state", "waited_s"),
    [
        ("SubState=start\nNRestarts=0\n", 900),
        ("NRestarts=0\nSubState=start\n", 900),
        ("SubState=start\nNRestarts=1\n", 240),
        ("SubState=auto-restart\nNRestarts=1\n", 240),
        ("SubState=running\nNRestarts=0\n", 240),
        ("", 240),
    ],
)
def test_the_first_start_of_k3s_and_nothing_else_is_waited_for_longer(box: Box, state: str, waited_s: int) -> None:
    box.kubernetes, box.k3s_state = (0, "False"), state
    assert box.assessment().judge().outcome == "unhealthy"
    assert waited_s <= box.second < waited_s + 10
    box.second, box.k3s_state = 0.0, "SubState=start\nNRestarts=0\n"
    _spoil_agent(box)
    assert box.assessment().judge().reasons == ["agent: it does not run", "k3s: the node is not ready"]
    assert 240 <= box.second < 250


def test_a_node_that_gets_ready_late_makes_a_healthy_system(box: Box) -> None:
    box.k3s_state = "SubState=start\nNRestarts=0\n"
    assessment = box.assessment()

    def kubernetes(argv: Sequence[str]) -> tuple[int, str]:
        box.kubernetes = (0, "True" if box.second > 600 else "False")
        return box.run(argv)

    box.kubernetes = (0, "False")
    assessment.machine = Machine(root=box.root, run=kubernetes)
    assert assessment.judge().reasons == []
    assert 600 < box.second < 620


def test_records_that_a_power_cut_spoilt_are_begun_anew(box: Box) -> None:
    for content in (b"", b"{", b"[]", b'{"boots": 7}', b"\xff" * 99, b"[" * 100_000):
        (box.root / records.FILE).write_bytes(content)
        assert box.assessment().judge().outcome == "healthy"


# What an update is measured against


def _updated(box: Box, **before: Any) -> Boot:
    old = Boot(boot="0" * 32, version="1", outcome="healthy", **before)
    records.save(box.root / records.FILE, Records(boots=[old]))
    return box.assessment().judge()


def test_a_hub_that_is_away_sends_no_system_back(box: Box) -> None:
    box.says(is_running=True, pid=77, enrolled=True, spool_records=0, connected=False)
    box.write("var/lib/dccn-agent/enrolment.json", json.dumps({"broker": "192.0.2.1:8883"}))
    assert _updated(box, hub_reached=True).outcome == "healthy"


def test_a_system_that_gets_through_to_no_broker_that_answers_is_bad_only_if_the_one_before_did(box: Box) -> None:
    box.says(is_running=True, pid=77, enrolled=True, spool_records=0, connected=False)
    box.write("var/lib/dccn-agent/enrolment.json", json.dumps({"broker": "192.0.2.1:8883"}))
    box.broker = True
    assert _updated(box, hub_reached=False).outcome == "healthy"
    (box.root / records.FILE).unlink()
    assert _updated(box, hub_reached=True).reasons == [
        "hub: its broker 192.0.2.1:8883 takes connections, and this system does not get through to it"
    ]


def test_a_graphics_card_without_its_driver_is_missed_and_one_that_was_taken_out_is_not(box: Box) -> None:
    for number in range(2):
        box.write(f"sys/bus/pci/devices/0000:0{number}:00.0/class", "0x030000\n")
        box.write(f"sys/bus/pci/devices/0000:0{number}:00.0/vendor", "0x10de\n")
    box.write("proc/driver/nvidia/gpus/0000:00:00.0/information", "")
    assert _updated(box, gpus=3).reasons == ["gpu: 1 of 2 cards work, 3 did before the update"]
    (box.root / records.FILE).unlink()
    box.write("proc/driver/nvidia/gpus/0000:01:00.0/information", "")
    assert _updated(box, gpus=3).outcome == "healthy"


def test_a_kernel_without_the_network_cards_driver_is_found_out_without_any_network(box: Box) -> None:
    assert _updated(box, network_cards=2).reasons == ["network: no card has a driver, 2 had before the update"]


def test_a_system_that_was_kept_is_not_measured_against_another(box: Box) -> None:
    box.starts("2", "dccn_2.efi", "dccn_1.efi")
    boot = _updated(box, network_cards=2, gpus=9)
    assert (boot.outcome, boot.assessed) == ("healthy", False)


# After a fall back


def test_the_old_system_tells_what_was_tried_how_often_and_why_it_failed(box: Box) -> None:
    box.says()
    for tries in range(2):
        box.starts("2", f"dccn_2+{2 - tries}-{tries + 1}.efi", "dccn_1.efi", boot=str(tries) * 32)
        box.assessment().judge()
    box.starts("1", "dccn_1.efi", "dccn_2+0-3.efi", boot="9" * 32)
    found = box.assessment().begin().fallback
    assert found is not None and (found.version, found.running, found.tries) == ("2", "1", 3)
    assert found.reasons == ["agent: it does not run", f"1 of 3 boots {SILENT}: a panic, a hang or a power cut"]


def test_a_system_that_never_wrote_a_word_is_given_up_with_that_as_the_reason(box: Box) -> None:
    box.starts("1", "dccn_1.efi", "DCCN_2+0-1.EFI")
    found = box.assessment().begin().fallback
    assert found is not None and found.reason == f"{SILENT}: a panic, a hang or a power cut"


def test_the_last_words_of_a_kernel_are_the_reason_in_the_boot_that_follows_and_in_no_later_one(box: Box) -> None:
    box.starts("1", "dccn_1.efi", "dccn_2+0-1.efi")
    box.write("proc/uptime", "30.5 20.1\n")
    box.write("var/lib/systemd/pstore/179/dmesg.txt", "<6>[ 1.0] x\n<0>[ 2.0] Kernel panic - not syncing: no init\n")
    box.write("var/lib/systemd/pstore/100/dmesg.txt", "nothing of the kind")
    assessment = box.assessment()
    assessment.now_ms = lambda: int(time.time() * 1000)
    found = assessment.begin().fallback
    assert found is not None and found.reason == f"{SILENT}: Kernel panic - not syncing: no init"
    assessment.now_ms = lambda: int((time.time() + 120) * 1000)
    later = assessment.begin().fallback
    assert later is not None and "no init" not in later.reason


def test_the_moment_of_a_fall_back_stays_over_later_boots(box: Box) -> None:
    box.starts("1", "dccn_1.efi", "dccn_2+0-3.efi", boot="8" * 32)
    first = box.assessment().begin().fallback
    box.starts("1", "dccn_1.efi", "dccn_2+0-3.efi", boot="9" * 32)
    later = box.assessment()
    later.now_ms = lambda: NOW_MS + 5
    again = later.begin().fallback
    assert first is not None and again is not None and first.since_ms == again.since_ms == NOW_MS


@given(
    st.lists(st.builds(Entry, st.sampled_from("12345"), st.none() | st.integers(0, 3), st.integers(0, 3)), unique=True),
    st.sampled_from("12345"),
)
def test_only_a_newer_version_was_given_up_first_one_that_could_have_been_started(
    entries: list[Entry], running: str
) -> None:
    found = fallback.find(running, [entry.name for entry in entries], [], NOW_MS)
    newer = [entry for entry in entries if entry.version > running]
    startable = [entry.version for entry in newer if not entry.is_spent]
    assert (None if found is None else found.version) == max(
        startable or [each.version for each in newer], default=None
    )
    assert found is None or (found.reasons == [UNOPENED]) == bool(startable)


# What the hub hears


def _report(box: Box, events: list[tuple[str, dict[str, object]]], connected: bool) -> dict[str, object]:
    noted: dict[str, object] = {}
    boot = box.records().boots[-1].boot
    report = BootReport(
        boot, lambda **fields: noted.update(fields), lambda event, /, **fields: events.append((event, fields)),
        lambda: connected, box.root / records.FILE,
    )  # fmt: skip
    report.look()
    report.look()
    return noted


def test_the_status_and_the_hub_hear_once_why_an_update_was_given_up(box: Box) -> None:
    box.starts("1", "dccn_1.efi", "dccn_2+0-3.efi")
    box.assessment().judge()
    events: list[tuple[str, dict[str, object]]] = []
    noted = _report(box, events, connected=False)
    assert events == [] and noted["given_up"] == {
        "version": "2",
        "reason": f"3 of 3 boots {SILENT}: a panic, a hang or a power cut",
    }
    _report(box, events, connected=True)
    assert [(event, fields["version"], fields["running"]) for event, fields in events] == [
        ("update_given_up", "2", "1")
    ]


def test_a_degraded_system_says_so_and_one_that_proved_itself_too(box: Box) -> None:
    events: list[tuple[str, dict[str, object]]] = []
    box.assessment().judge()
    assert _report(box, events, connected=True)["boot"] == "healthy"
    (box.root / records.FILE).unlink()
    box.says()
    box.assessment().judge()
    _report(box, events, connected=True)
    assert [event for event, _ in events] == ["system_kept", "system_degraded"]


def test_a_check_on_this_very_machine_ends() -> None:
    assert isinstance(Machine().faults(), list)
    assert checks.run_program(["dccn-no-such-program"]) == (127, "")
    assert os.path.ismount("/proc")
