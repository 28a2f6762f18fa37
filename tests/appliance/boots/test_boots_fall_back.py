"""The program that starts a machine again: only away from a system on trial, and only towards another one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from appliance.boots.loader import VENDOR
from appliance.image.rootfs import OVERLAYS

PROGRAM = OVERLAYS / "common/usr/libexec/dccn-fall-back"


@pytest.mark.parametrize(
    ("state", "entries", "restarts"),
    [
        ("indeterminate", ["dccn_2+2-1.efi", "dccn_1.efi"], True),
        ("indeterminate", ["DCCN_2+2-1.EFI", "DCCN_1.EFI"], True),
        ("indeterminate", ["dccn_2+0-3.efi", "dccn_1+3.efi"], True),
        ("indeterminate", ["dccn_2+2-1.efi"], False),
        ("indeterminate", ["dccn_2+2-1.efi", "dccn_1+0-3.efi", "dccn_3+0.efi"], False),
        ("indeterminate", ["dccn_2+2-1.efi", "other.efi"], False),
        ("good", ["dccn_2.efi", "dccn_1.efi"], False),
        ("clean", ["dccn_2.efi", "dccn_1.efi"], False),
        ("bad", ["dccn_2+0.efi", "dccn_1.efi"], False),
    ],
)
def test_a_system_on_trial_is_left_if_there_is_another_and_nothing_else_is(
    tmp_path: Path, state: str, entries: list[str], restarts: bool
) -> None:
    (tmp_path / "EFI/Linux").mkdir(parents=True)
    for name in entries:
        (tmp_path / "EFI/Linux" / name).touch()
    variable = tmp_path / f"LoaderBootCountPath-{VENDOR}"
    variable.write_bytes(b"\6\0\0\0" + f"\\EFI\\Linux\\{entries[0]}\0".encode("utf-16-le"))
    for name, body in (("bless", f"echo {state}"), ("systemctl", f'echo "$@" >> {tmp_path}/asked')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    places = {
        "/lib/systemd/systemd-bless-boot": f"{tmp_path}/bless",
        "/sys/firmware/efi/efivars": str(tmp_path),
        "/efi/": f"{tmp_path}/",
    }
    text = PROGRAM.read_text()
    for old, new in places.items():
        assert old in text
        text = text.replace(old, new)
    done = subprocess.run(
        ["sh", "-c", text], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    asked = tmp_path / "asked"
    assert (asked.exists() and asked.read_text() == "reboot\n") == restarts, done.stdout
    assert done.stderr == ""
