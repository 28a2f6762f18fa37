"""The reader of QEMU's write logs, against QEMU's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.appliance.image.boot import write_log

SIZE = 1 << 20


def test_a_log_played_back_onto_the_old_disk_gives_the_new_one(tmp_path: Path) -> None:
    disk, copy, log = (tmp_path / name for name in ("disk", "copy", "log"))
    old = bytes(range(256)) * (SIZE // 256)
    disk.write_bytes(old)
    copy.write_bytes(old)
    log.touch()
    node = (
        f"driver=blklogwrites,file.driver=raw,file.file.driver=file,file.file.filename={disk},"
        f"log.driver=file,log.filename={log}"
    )
    commands = ["write -P 0xab 4096 8192", "flush", "write -z 65536 4096", "write -P 0xcd 8192 512", "flush"]
    words = [word for command in commands for word in ("-c", command)]
    subprocess.run(["qemu-io", "--image-opts", node, *words], check=True, stdout=subprocess.DEVNULL)
    found = list(write_log.writes(log))
    assert [(each.offset, each.size) for each in found if each.size] == [(4096, 8192), (65536, 4096), (8192, 512)]
    assert sum(bool(each.flags & write_log.FLUSH) for each in found) >= 2
    with log.open("rb") as recorded, copy.open("r+b") as target:
        for each in found:
            each.apply(recorded, target)
    assert copy.read_bytes() == disk.read_bytes() != old


def test_another_file_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(4096))
    with pytest.raises(ValueError, match="no log"):
        list(write_log.writes(tmp_path / "x"))
