"""The generator that decides how /var is kept, as the real script on real block devices in a namespace of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

GENERATOR = Path(__file__).parents[3] / "appliance/image/overlay/common/usr/lib/systemd/system-generators/dccn-storage"
MIB = 1 << 20
LUKS = b"LUKS\xba\xbe\x00\x02"
STAGE = """\
set -e
mount -t tmpfs tmpfs /run
mkdir -p /dev/disk
mount -t tmpfs tmpfs /dev/disk
mkdir -p /dev/disk/by-partlabel /run/units
[ -z "$DEVICE" ] || ln -s "$DEVICE" /dev/disk/by-partlabel/data
sh "$GENERATOR" /run/units /run/units /run/units
cat /run/dccn/storage
cat /run/systemd/system/systemd-repart.service.d/blank.conf 2>/dev/null || true
cat /run/repart.d/60-data.conf
"""


def decide(device: str) -> list[str]:
    """What the generator wrote: the kind, then the files for systemd-repart."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEVICE": device, "GENERATOR": str(GENERATOR)}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", STAGE], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"a mount namespace takes privileges: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("content", "kind", "made_anew"),
    [
        (LUKS, "sealed", False),
        (b"\0" * 1080 + b"\x53\xef", "plain", False),
        (b"something else", "plain", False),
        (b"\0" * 4095 + b"x", "plain", False),
        (b"", "plain", True),
    ],
)
def test_what_stands_on_the_disk_decides_and_only_a_blank_partition_is_made_anew(
    tmp_path: Path, content: bytes, kind: str, made_anew: bool
) -> None:
    image = tmp_path / "data.img"
    image.write_bytes(content.ljust(MIB, b"\0"))
    attached = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if attached.returncode:
        pytest.skip(f"this kernel gives no loop device: {attached.stderr.strip()}")
    device = attached.stdout.strip()
    try:
        said = decide(device)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert said[0] == kind
    assert ("ExecStart=/bin/systemd-repart --dry-run=no --factory-reset=yes" in said) is made_anew
    assert ("Encrypt=tpm2" in said) is (kind == "sealed")
    assert "FactoryReset=yes" in said


def test_where_there_is_no_partition_it_is_made_by_the_ordinary_way() -> None:
    said = decide("")
    assert said[0] == "plain" and not any("--factory-reset" in line for line in said)
