"""Disks: what they say of themselves, and that what is written comes back, fast enough for the model."""

from __future__ import annotations

import json
import os
from hashlib import sha256

import pytest

from appliance.acceptance.probe import Level, Probe
from appliance.doctor.checks.disk_worn import attention, worn_percent
from appliance.doctor.disk_health import command

SIZE_MIB = {Level.quick: 32, Level.burnin: 256}
RUN_S = {Level.quick: 5, Level.burnin: 60}


def health(probe: Probe, name: str):
    """What smartctl says of a disk; skips where it says nothing."""
    document = probe.machine.answer_json(command(name))
    if not isinstance(document, dict) or (
        "smart_status" not in document and "nvme_smart_health_information_log" not in document
    ):
        pytest.skip(f"{name} does not tell its health (smartctl of smartmontools, as root)")
    return document


@pytest.mark.needs_nvme
@pytest.mark.needs_root
def test_no_nvme_disk_reports_a_fault(probe: Probe) -> None:
    for name in probe.disks("nvme"):
        fault = attention(health(probe, name))
        assert fault is None, f"{name}: {fault}"


@pytest.mark.needs_nvme
@pytest.mark.needs_root
def test_no_nvme_disk_is_worn(probe: Probe, measured) -> None:
    for name in probe.disks("nvme"):
        worn = worn_percent(health(probe, name))
        measured(name, f"{worn} %")
        assert worn is None or worn <= probe.limits.disk_worn_percent, f"{name} is {worn} % worn"


@pytest.mark.needs_nvme
@pytest.mark.needs_root
def test_no_nvme_disk_is_too_hot(probe: Probe, measured) -> None:
    for name in probe.disks("nvme"):
        degrees = health(probe, name).get("temperature", {}).get("current")
        measured(name, degrees)
        assert degrees is None or degrees < probe.limits.disk_celsius, f"{name} is at {degrees} °C"


def fio(probe: Probe, *options: str):
    """A job of fio on a file of its own; the document of its one job, or a skip where there is no fio."""
    path = probe.folder / "hardware-tests.fio"
    fixed = [
        "fio",
        "--name=job",
        f"--filename={path}",
        f"--size={SIZE_MIB[probe.level]}m",
        "--output-format=json",
        "--verify_state_save=0",
    ]
    try:
        answer = probe.run([*fixed, *options], RUN_S[probe.level])
    finally:
        path.unlink(missing_ok=True)
    if answer.code is None:
        pytest.skip("fio is not installed")
    assert answer.code == 0, answer.out[-600:]
    try:
        return json.loads(answer.out[answer.out.index("{") :])["jobs"][0]
    except (ValueError, LookupError):
        pytest.fail(f"fio does not tell what it measured: {answer.out[:300]}")


def test_what_is_written_comes_back(probe: Probe, measured) -> None:
    path = probe.folder / "hardware-tests.pattern"
    block = os.urandom(1 << 20)
    expected = sha256()
    try:
        with path.open("wb") as file:
            for number in range(SIZE_MIB[probe.level]):
                piece = number.to_bytes(8, "little") + block[8:]
                file.write(piece)
                expected.update(piece)
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with path.open("rb") as file:
            found = sha256()
            while piece := file.read(1 << 20):
                found.update(piece)
    finally:
        path.unlink(missing_ok=True)
    measured("mib", SIZE_MIB[probe.level])
    assert found.digest() == expected.digest()


def test_writes_at_random_places_are_verified(probe: Probe) -> None:
    job = fio(probe, "--rw=randwrite", "--bs=4k", "--verify=crc32c", "--do_verify=1", "--fsync_on_close=1")
    assert job["error"] == 0


def test_reads_are_as_fast_as_the_models(probe: Probe, measured) -> None:
    job = fio(probe, "--rw=randread", "--bs=4k", "--iodepth=16", "--time_based", f"--runtime={RUN_S[probe.level]}")
    iops = int(job["read"]["iops"])
    measured("read_iops", iops)
    assert job["error"] == 0 and iops >= probe.limits.read_iops


def test_writes_are_as_fast_as_the_models(probe: Probe, measured) -> None:
    job = fio(probe, "--rw=randwrite", "--bs=4k", "--iodepth=16", "--time_based", f"--runtime={RUN_S[probe.level]}")
    iops = int(job["write"]["iops"])
    measured("write_iops", iops)
    assert job["error"] == 0 and iops >= probe.limits.write_iops
