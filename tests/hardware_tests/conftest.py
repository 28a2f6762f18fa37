"""A recorded machine on which every hardware test passes: what a test changes in it is what is bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.acceptance.probe import EFI_VENDOR, Probe
from appliance.acceptance.profile import Card, Disk, Limits, Processor, Profile, Wire
from appliance.doctor.machine import Answer
from tests.appliance.doctor.ward import Ward, well_ward

PROFILE = Profile(
    title="the recorded machine",
    processor=Processor(model="Ryzen 9", threads=2),
    memory_mib=30_000,
    disks=[Disk(kind="nvme", size_gib=900)],
    cards=[Card(name="RTX 4090", memory_mib=24_000, count=2, pcie_generation=4, pcie_lanes=8)],
    network=Wire(count=1, speed_mbit=2_500),
    fans=1,
    tpm=True,
    secure_boot=True,
    watchdog=True,
    limits=Limits(read_iops=50_000, write_iops=20_000),
)
FIO = '{{"jobs": [{{"error": {error}, "read": {{"iops": {read}}}, "write": {{"iops": {write}}}}}]}}'
PCRS = "  sha256:\n" + "".join(f"    {n:<2}: 0x{'AB' * 32}\n" for n in (0, 7, 11))


@dataclass
class Bench:
    """`ward` is the machine; `works` are the endings of programs that load it, by their first words, newest first."""

    ward: Ward
    folder: Path
    works: dict[str, Answer] = field(default_factory=dict)
    is_root: bool = True
    profile: Profile | None = PROFILE

    def work(self, words: str, out: str = "", code: int | None = 0) -> None:
        self.works.pop(words, None)
        self.works[words] = Answer(code, out)

    def run(self, argv: Sequence[str], _timeout_s: float) -> Answer:
        line = " ".join(argv)
        fitting = [words for words in self.works if line.startswith(words) or (words[0] == "*" and words[1:] in line)]
        return self.works[fitting[-1]] if fitting else Answer(None)

    def probe(self, **changed: Any) -> Probe:
        given: dict[str, Any] = {
            "machine": self.ward.machine(),
            "profile": self.profile,
            "folder": self.folder,
            "run": self.run,
            "is_root": self.is_root,
        }
        return Probe(**{**given, **changed})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    ward = well_ward(tmp_path / "machine")
    put = ward.put
    put(
        "proc/cpuinfo", "processor : 0\nmodel name : AMD Ryzen 9 7950X\nprocessor : 1\nmodel name : AMD Ryzen 9 7950X\n"
    )
    put("proc/meminfo", "MemTotal: 32000000 kB\nMemAvailable: 30000000 kB\n")
    put("sys/block/nvme0n1/size", str(1_000_000_000_000 // 512))
    put("sys/class/net/eth0/device/vendor", "0x8086")
    put("sys/class/net/eth0/speed", "2500")
    put("sys/class/net/eth0/statistics/rx_packets", "5000000")
    put("sys/class/net/eth0/statistics/rx_errors", "3")
    put("sys/class/tpm/tpm0/tpm_version_major", "2")
    for name, value in (("state", "active"), ("timeout", "60"), ("bootstatus", "0"), ("identity", "SP5100 TCO")):
        put(f"sys/class/watchdog/watchdog0/{name}", value)
    put("sys/class/hwmon/hwmon0/fan1_input", "1200")
    put("sys/devices/system/edac/mc/mc0/ce_count", "0")
    put("sys/devices/system/edac/mc/mc0/ue_count", "0")
    put("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "7")
    put(f"sys/firmware/efi/efivars/SecureBoot-{EFI_VENDOR}", "\x07\x00\x00\x00\x01")
    put(f"sys/firmware/efi/efivars/SetupMode-{EFI_VENDOR}", "\x07\x00\x00\x00\x00")
    put("sys/kernel/security/lockdown", "none [integrity] confidentiality")
    put("proc/sys/kernel/tainted", "4096")
    ward.answer("systemctl list-units", "")
    made = Bench(ward, tmp_path)
    made.work("stress-ng")
    made.work("stressapptest", "Status: PASS - please verify no corrected errors\n")
    made.work("fio", FIO.format(error=0, read=90_000, write=40_000))
    made.work("tpm2_")
    made.work("tpm2_gettestresult", "status: success\n")
    made.work("tpm2_pcrread", PCRS)
    return made
