"""The pinned CometBFT really runs: with its own kvstore it makes blocks and answers RPC."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from chain.errors import Faulty
from tools.engines import cometbft

START_TIMEOUT_S = 60.0


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def rpc_of_a_running_kvstore(tmp_path: Path) -> Iterator[str]:
    binary = cometbft.binary()
    if not cometbft.works(binary):
        pytest.skip("CometBFT is not in the cache: make engines")
    home = tmp_path / "comet"
    subprocess.run([binary, "init", "--home", home], check=True, capture_output=True, timeout=60)
    rpc, p2p = free_ports(2)
    arguments = [
        "--proxy_app",
        "kvstore",
        "--rpc.laddr",
        f"tcp://127.0.0.1:{rpc}",
        "--p2p.laddr",
        f"tcp://127.0.0.1:{p2p}",
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([binary, "start", "--home", home, *arguments], stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{rpc}"
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.engine
def test_the_pinned_cometbft_reaches_height_2_with_its_own_kvstore(rpc_of_a_running_kvstore: str) -> None:
    # A test in which an external program starts: asking until it answers is the only event there is.
    pool = urllib3.PoolManager(retries=False, timeout=2.0)
    deadline, height = time.monotonic() + START_TIMEOUT_S, 0
    while height < 2 and time.monotonic() < deadline:
        try:
            answer = json.loads(pool.request("GET", f"{rpc_of_a_running_kvstore}/status").data)
            height = int(answer["result"]["sync_info"]["latest_block_height"])
            assert answer["result"]["node_info"]["version"] == cometbft.VERSION
        except urllib3.exceptions.HTTPError:
            pass
        if height < 2:
            time.sleep(0.1)
    assert height >= 2


def test_a_release_is_checked_against_the_checksum_file_beside_it() -> None:
    sums = "aa11  cometbft_1_linux_amd64.tar.gz\nBB22 *cometbft_1_linux_arm64.tar.gz\n"
    assert cometbft.expected_sha256(sums, "cometbft_1_linux_amd64.tar.gz") == "aa11"
    assert cometbft.expected_sha256(sums, "cometbft_1_linux_arm64.tar.gz") == "bb22"
    assert cometbft.expected_sha256(sums, "cometbft_1_windows_amd64.tar.gz") is None


def test_a_changed_archive_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cometbft.platform, "machine", lambda: "x86_64")
    name = f"cometbft_{cometbft.VERSION}_linux_amd64.tar.gz"
    answers = {cometbft.CHECKSUMS: f"{'0' * 64}  {name}\n".encode(), name: b"not what was released"}
    monkeypatch.setattr(cometbft, "_fetch", lambda url: answers[url.rsplit("/", 1)[1]])
    with pytest.raises(Faulty, match="the release says 0000"):
        cometbft._from_release(tmp_path, lambda line: None)


def test_a_program_of_another_version_does_not_count_as_the_engine(tmp_path: Path) -> None:
    fake = tmp_path / "cometbft"
    fake.write_text("#!/bin/sh\necho 0.34.0\n")
    fake.chmod(0o755)
    assert not cometbft.works(fake)
    assert not cometbft.works(tmp_path / "absent")
