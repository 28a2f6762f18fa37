"""Tests of the hardware tests: all pass on a good machine, and each fails on the hardware that it is there to find."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from appliance.acceptance import plugin, profile
from appliance.acceptance.probe import EFI_VENDOR, Level, absent
from appliance.acceptance.report import load
from chain.errors import Malformed
from chain.proofs.pog.cpu import CpuMultiplier
from tests.appliance.doctor.ward import FakeCard, nvme_health, unit_properties
from tests.hardware_tests.bench_of_tests import SUITES, run
from tests.hardware_tests.conftest import FIO, PCRS, PROFILE, Bench

NEEDS_A_CARD = {"test_the_memory_of_every_card_keeps_what_is_written"}
LATE = {"test_many_loads_at_once_find_no_fault"}
Harm = Callable[[Bench], None]


def put(path: str, text: str) -> Harm:
    return lambda bench: bench.ward.put(path, text)


def work(words: str, out: str = "", code: int = 0) -> Harm:
    return lambda bench: bench.work(words, out, code)


def answer(words: str, out: object, code: int = 0) -> Harm:
    return lambda bench: bench.ward.answer(words, out, code)


def card(**fields: Any) -> Harm:
    def apply(bench: Bench) -> None:
        assert bench.ward.nvml is not None
        bench.ward.nvml.cards[1] = dataclasses.replace(bench.ward.nvml.cards[1], **fields)

    return apply


def lose_a_card(bench: Bench) -> None:
    assert bench.ward.nvml is not None
    del bench.ward.nvml.cards[1]


def take(path: str) -> Harm:
    return lambda bench: shutil.rmtree(bench.ward.root / path)


def shut(bench: Bench) -> None:
    bench.ward.open_ports.clear()


def throttle(bench: Bench) -> None:
    """The count grows while the load runs."""
    before = bench.run

    def run_and_throttle(argv: Any, timeout_s: float) -> Any:
        bench.ward.put("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "9")
        return before(argv, timeout_s)

    bench.run = run_and_throttle  # type: ignore[method-assign]


def offset(bench: Bench) -> None:
    assert bench.ward.status is not None
    bench.ward.status.clock_offset_ms = 5_000


KERNEL = "journalctl --dmesg"
BAD: list[tuple[str, str, Harm]] = [
    ("inventory", "test_the_processor_is_the_models", put("proc/cpuinfo", "processor : 0\nmodel name : Celeron\n")),
    ("inventory", "test_the_processor_is_the_models", put("proc/cpuinfo", "processor : 0\nmodel name : Ryzen 9\n")),
    ("inventory", "test_all_memory_is_there", put("proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 1 kB\n")),
    ("inventory", "test_all_disks_are_there_and_whole", put("sys/block/nvme0n1/size", "1000000")),
    ("inventory", "test_all_disks_are_there_and_whole", take("sys/block")),
    ("inventory", "test_all_cards_are_there_with_all_their_memory", lose_a_card),
    ("inventory", "test_all_cards_are_there_with_all_their_memory", card(memory_mib=12_000)),
    ("inventory", "test_all_cards_are_there_with_all_their_memory", card(name="NVIDIA GeForce RTX 3060")),
    ("inventory", "test_all_cards_are_there_with_all_their_memory", lambda b: b.ward.put_card("0000:09:00.0")),
    ("inventory", "test_all_network_interfaces_are_there", take("sys/class/net/eth0")),
    ("inventory", "test_the_small_parts_are_there[tpm]", take("sys/class/tpm")),
    ("inventory", "test_the_small_parts_are_there[watchdog]", take("sys/class/watchdog")),
    ("inventory", "test_as_many_fans_measure_as_the_model_has", lambda b: (
        b.ward.root / "sys/class/hwmon/hwmon0/fan1_input").unlink()),
    ("processor_and_memory", "test_the_processor_computes_right_under_load", work("stress-ng", "verify failed", 2)),
    ("processor_and_memory", "test_the_memory_keeps_what_is_written", work("stressapptest", "Status: FAIL", 1)),
    ("processor_and_memory", "test_the_memory_keeps_what_is_written", work("stressapptest", "Status: FAIL")),
    ("processor_and_memory", "test_the_memory_controller_counted_no_errors",
     put("sys/devices/system/edac/mc/mc0/ce_count", "12")),
    ("processor_and_memory", "test_the_memory_controller_counted_no_errors",
     put("sys/devices/system/edac/mc/mc0/ue_count", "1")),
    ("processor_and_memory", "test_the_kernel_saw_no_machine_check",
     answer(KERNEL, "1.0 box kernel: mce: [Hardware Error]: CPU 3: Machine Check: 0 Bank 5\n")),
    ("gpu", "test_every_card_on_the_bus_answers", card(is_lost=True)),
    ("gpu", "test_no_card_counted_an_uncorrected_error", card(uncorrected=2)),
    ("gpu", "test_no_card_has_memory_rows_that_failed_or_wait", card(remapped=(0, 0, 1, 0))),
    ("gpu", "test_no_card_has_memory_rows_that_failed_or_wait", card(remapped=(0, 0, 0, 1))),
    ("gpu", "test_no_card_has_memory_rows_that_failed_or_wait", card(remapped=(0, 3, 0, 0))),
    ("gpu", "test_the_kernel_logged_no_fatal_error_of_a_card",
     answer(KERNEL, "1.0 box kernel: NVRM: Xid (PCI:0000:02:00): 79, pid=1, GPU has fallen off the bus.\n")),
    ("gpu", "test_no_card_is_slowed_down_but_by_its_power_limit", card(throttle_reasons=0x40)),
    ("gpu", "test_no_card_is_slowed_down_but_by_its_power_limit", card(throttle_reasons=0x80)),
    ("gpu", "test_every_card_has_its_whole_bus", card(lanes=1)),
    ("gpu", "test_every_card_has_its_whole_bus", card(generation=2)),
    ("thermals", "test_no_sensor_reaches_its_limit_under_load", put("sys/class/hwmon/hwmon0/temp1_input", "95000")),
    ("thermals", "test_the_processor_is_not_slowed_down_by_heat", throttle),
    ("thermals", "test_every_fan_of_the_model_turns", put("sys/class/hwmon/hwmon0/fan1_input", "0")),
    ("storage", "test_no_nvme_disk_reports_a_fault", answer("smartctl", nvme_health(media_errors=4), 64)),
    ("storage", "test_no_nvme_disk_reports_a_fault", answer("smartctl", nvme_health(critical_warning=1), 8)),
    ("storage", "test_no_nvme_disk_is_worn", answer("smartctl", nvme_health(percentage_used=6))),
    ("storage", "test_no_nvme_disk_is_too_hot", answer("smartctl", {**nvme_health(), "temperature": {"current": 80}})),
    ("storage", "test_what_is_written_comes_back", lambda b: setattr(b, "folder", Path("/proc"))),
    ("storage", "test_writes_at_random_places_are_verified", work("fio", "verify: bad magic header", 1)),
    ("storage", "test_writes_at_random_places_are_verified", work("fio", FIO.format(error=84, read=0, write=0))),
    ("storage", "test_reads_are_as_fast_as_the_models", work("fio", FIO.format(error=0, read=49_999, write=90_000))),
    ("storage", "test_writes_are_as_fast_as_the_models", work("fio", FIO.format(error=0, read=90_000, write=19_999))),
    ("storage", "test_reads_are_as_fast_as_the_models", work("fio", "no document")),
    ("network", "test_a_network_interface_has_a_link_and_an_address", put("sys/class/net/eth0/carrier", "0")),
    ("network", "test_a_network_interface_has_a_link_and_an_address", answer("ip -json", [{"ifname": "eth0"}])),
    ("network", "test_the_link_has_the_models_speed", put("sys/class/net/eth0/speed", "100")),
    ("network", "test_next_to_no_packet_is_lost_on_the_wire",
     put("sys/class/net/eth0/statistics/rx_crc_errors", "900")),
    ("network", "test_the_hub_is_within_reach", shut),
    ("network", "test_the_clock_agrees_with_the_hubs", offset),
    ("network", "test_a_time_server_keeps_the_clock", answer("timedatectl", "no\n")),
    ("tpm", "test_it_is_of_version_two", put("sys/class/tpm/tpm0/tpm_version_major", "1")),
    ("tpm", "test_its_own_test_finds_nothing", work("tpm2_selftest", "TPM_RC_FAILURE", 1)),
    ("tpm", "test_its_own_test_finds_nothing", work("tpm2_gettestresult", "status: failed\n")),
    ("tpm", "test_the_boot_was_measured_into_it", work("tpm2_pcrread", PCRS.replace("AB" * 32, "00" * 32))),
    ("tpm", "test_a_quote_of_it_verifies", work("tpm2_checkquote", "Error validating nonce", 1)),
    ("secure_boot", "test_the_firmware_enforces_it",
     put(f"sys/firmware/efi/efivars/SecureBoot-{EFI_VENDOR}", "\x07\x00\x00\x00\x00")),
    ("secure_boot", "test_nobody_can_enrol_other_keys",
     put(f"sys/firmware/efi/efivars/SetupMode-{EFI_VENDOR}", "\x07\x00\x00\x00\x01")),
    ("secure_boot", "test_the_kernel_locks_itself_down", put("sys/kernel/security/lockdown", "[none] integrity")),
    ("watchdog", "test_it_is_armed", put("sys/class/watchdog/watchdog0/state", "inactive")),
    ("watchdog", "test_it_waits_no_longer_than_ten_minutes", put("sys/class/watchdog/watchdog0/timeout", "3600")),
    ("watchdog", "test_it_was_not_what_started_this_boot", put("sys/class/watchdog/watchdog0/bootstatus", "32")),
    ("system", "test_no_unit_has_failed", answer("systemctl list-units", "k3s.service loaded failed failed k3s\n")),
    ("system", "test_the_kernel_is_not_tainted_by_a_fault", put("proc/sys/kernel/tainted", "16")),
    ("system", "test_no_disk_gave_the_kernel_an_error",
     answer(KERNEL, "1.0 box kernel: I/O error, dev nvme0n1, sector 123 op 0x0\n")),
]  # fmt: skip


def test_every_test_passes_on_a_good_machine(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    done = run(bench.probe(), options=["--report", str(path)])
    unlike = {name: end for name, end in done.ended.items() if end[0] != "passed"}
    assert unlike.keys() == NEEDS_A_CARD | LATE, unlike
    assert done.code == 0
    report = load(path)
    assert report.is_passed and len(report.results) == len(done.ended)
    worn = next(each for each in report.results if each.test == "test_storage.test_no_nvme_disk_is_worn")
    assert worn.values == {"nvme0n1": "3 %"}


@pytest.mark.parametrize(
    ("suite", "name", "harm"), BAD, ids=[f"{name}-{i}" for i, (_suite, name, _harm) in enumerate(BAD)]
)
def test_each_test_fails_on_the_hardware_that_it_is_there_to_find(
    bench: Bench, suite: str, name: str, harm: Harm
) -> None:
    harm(bench)
    done = run(bench.probe(), f"{suite}::{name}")
    assert (done.code, done.outcome(name)) == (1, "failed"), done.ended


def test_no_test_is_without_a_machine_on_which_it_fails() -> None:
    """All but the load that needs half an hour, the work itself, and what needs a real card's library."""
    defined = {
        line.removeprefix("def ").partition("(")[0]
        for path in SUITES.glob("test_*.py")
        for line in path.read_text().splitlines()
        if line.startswith("def test_")
    }
    covered = {name.partition("[")[0] for _suite, name, _harm in BAD}
    rest = NEEDS_A_CARD | LATE | {"test_a_challenge_is_answered_and_its_proof_verifies"}
    assert defined - covered == rest


def test_work_that_nobody_can_verify_is_a_failure(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    right = CpuMultiplier.rows

    def wrong(self: CpuMultiplier, indices: Sequence[int]) -> list[bytes]:
        rows = right(self, indices)
        return [bytes([rows[0][0] ^ 1]) + rows[0][1:], *rows[1:]]

    monkeypatch.setattr(CpuMultiplier, "rows", wrong)
    assert run(bench.probe(), "work").outcome("test_a_challenge_is_answered_and_its_proof_verifies") == "failed"


def test_absent_hardware_is_skipped_with_its_reason_and_required_hardware_is_a_failure(bench: Bench) -> None:
    bench.ward.nvml = None
    take("sys/class/tpm")(bench)
    name = "test_it_is_of_version_two"
    done = run(bench.probe(), "tpm", "gpu")
    assert {end[0] for end in done.ended.values()} == {"skipped"} and "there is no TPM" in done.why(name)
    done = run(bench.probe(), "tpm", "gpu", options=["--require", "gpu, tpm"])
    assert {end[0] for end in done.ended.values()} == {"failed"} and "required: there is no TPM" in done.why(name)
    assert done.code == 1


def test_every_part_that_may_be_required_is_needed_by_a_test_and_known_to_the_probe(bench: Bench) -> None:
    text = "".join(path.read_text() for path in SUITES.glob("test_*.py"))
    assert {part for part in plugin.PARTS if f"needs_{part}" in text} == set(plugin.PARTS)
    shutil.rmtree(bench.ward.root)
    bench.ward.nvml = bench.ward.status = None
    bench.is_root, bench.profile = False, None
    assert set(absent(bench.probe())) == set(plugin.PARTS)


def test_without_the_tools_our_own_loads_run_and_the_rest_is_skipped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.acceptance.probe.LOAD_S", {Level.quick: 1})
    bench.ward.put("proc/meminfo", "MemTotal: 32000000 kB\nMemAvailable: 1000000 kB\n")
    bench.works.clear()
    done = run(bench.probe(), "processor_and_memory", "storage", "thermals", "tpm")
    assert done.outcome("test_the_processor_computes_right_under_load") == "passed"
    assert done.outcome("test_the_memory_keeps_what_is_written") == "passed"
    assert "fio is not installed" in done.why("test_reads_are_as_fast_as_the_models")
    assert "tpm2_createek is not installed" in done.why("test_a_quote_of_it_verifies")
    assert "failed" not in {end[0] for end in done.ended.values()}


def test_a_required_part_that_is_none_and_a_profile_that_is_none_are_refused(tmp_path: Path) -> None:
    for options, said in (
        (["--require", "gpu,wings"], "there is no part wings"),
        (["--profile", "no-such"], "no-such"),
    ):
        command = [sys.executable, "-m", "pytest", str(SUITES), "-q", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 4 and said in done.stdout + done.stderr


def test_a_real_run_from_the_command_line_leaves_a_report(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    command = [sys.executable, "-m", "pytest", str(SUITES / "test_network.py"), str(SUITES / "test_system.py"), "-q"]
    subprocess.run([*command, "--report", str(path)], capture_output=True, timeout=60, check=False)
    document = json.loads(path.read_bytes())
    assert document["format"] == 1 and len(document["results"]) == 9
    assert {each["outcome"] for each in document["results"]} <= {"passed", "failed", "skipped"}


@pytest.mark.parametrize("name", profile.names())
def test_every_golden_profile_can_be_read(name: str) -> None:
    assert profile.load(name).title


@pytest.mark.parametrize("text", ["title = 1", "titel = 'x'", "title = 'x'\nmemory_mib = 'much'", "[", "\xff", ""])
def test_a_profile_that_is_none_is_refused_with_its_fault(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Malformed):
        profile.load(str(path))


def test_the_recorded_profile_is_what_the_good_machine_is(bench: Bench) -> None:
    assert bench.profile is PROFILE and isinstance(bench.ward.nvml and bench.ward.nvml.cards[0], FakeCard)
    assert "ActiveState=active" in unit_properties("active", "running")
