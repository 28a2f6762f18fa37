"""The TPM: version 2, healthy by its own test, with a boot measured into it, and its quotes verify."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from appliance.acceptance.probe import Probe

pytestmark = [pytest.mark.needs_tpm, pytest.mark.needs_root]
TIMEOUT_S = 60.0
IMAGE_PCR = 11
"""Where systemd's boot stub measures the kernel image."""


def tool(probe: Probe, *argv: str) -> str:
    answer = probe.run(argv, TIMEOUT_S)
    if answer.code is None:
        pytest.skip(f"{argv[0]} is not installed (tpm2-tools)")
    assert answer.code == 0, f"{argv[0]}: {answer.out[-300:]}"
    return answer.out


def test_it_is_of_version_two(probe: Probe) -> None:
    assert probe.machine.text("sys/class/tpm/tpm0/tpm_version_major") == "2"


def test_its_own_test_finds_nothing(probe: Probe) -> None:
    tool(probe, "tpm2_selftest", "--fulltest")
    assert re.search(r"^status:\s*success", tool(probe, "tpm2_gettestresult"), re.MULTILINE)


@pytest.mark.needs_efi
def test_the_boot_was_measured_into_it(probe: Probe) -> None:
    values = re.findall(
        r"^\s+(\d+)\s*: 0x([0-9A-Fa-f]{64})", tool(probe, "tpm2_pcrread", "sha256:0,7,11"), re.MULTILINE
    )
    measured = {int(number): value.strip("0") != "" for number, value in values}
    assert measured.get(0) and measured.get(7), "the firmware measures nothing into it"
    if not measured.get(IMAGE_PCR):
        pytest.skip("this system was not started as a unified kernel image")


def test_a_quote_of_it_verifies(probe: Probe) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = {each: str(Path(name) / each) for each in ("ek", "ak", "ak.pub", "ak.name", "quote", "sig", "pcrs")}
        nonce = "00112233445566778899aabbccddeeff"
        tool(probe, "tpm2_createek", "-G", "ecc", "-c", path["ek"])
        tool(probe, "tpm2_createak", "-C", path["ek"], "-G", "ecc", "-g", "sha256", "-s", "ecdsa", "-c", path["ak"],
             "-u", path["ak.pub"], "-f", "pem", "-n", path["ak.name"])  # fmt: skip
        probe.run(["tpm2_flushcontext", "-t"], TIMEOUT_S)
        tool(probe, "tpm2_quote", "-c", path["ak"], "-l", "sha256:7", "-q", nonce, "-m", path["quote"],
             "-s", path["sig"], "-o", path["pcrs"], "-g", "sha256")  # fmt: skip
        tool(probe, "tpm2_checkquote", "-u", path["ak.pub"], "-m", path["quote"], "-s", path["sig"],
             "-f", path["pcrs"], "-g", "sha256", "-q", nonce)  # fmt: skip
        probe.run(["tpm2_flushcontext", "-t"], TIMEOUT_S)
