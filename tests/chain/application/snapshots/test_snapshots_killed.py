"""kill -9 while a snapshot is written or restored, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chain.application.abci import (
    ChunkResult,
    OfferResult,
    RequestInfo,
)
from chain.application.snapshots import Snapshots
from chain.application.store import StateStore
from tests.chain.application.snapshots.conftest import Source, apply_all

PROGRAM = """
import sys
from pathlib import Path
from chain.application import restore, snapshots
from chain.application.abci import *
from chain.application.app import Application
from chain.application.store import StateStore

kind, home, source, moment = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
write, count = snapshots.write_durably, 0

def slow(path, content):
    global count
    write(path, content)
    count += 1
    if count == moment:
        print("now", flush=True)
        sys.stdin.readline()

snapshots.write_durably = restore.write_durably = slow
if kind == "take":
    from chain.application import snapshot_format
    snapshot_format.CHUNK_BYTES = 2_000
    taken = snapshots.Snapshots(home, 1)
    taken.take(StateStore(source))
    taken.wait()
else:
    from chain.application.snapshots import Snapshots
    kept = Snapshots(source, 0)
    newest = kept.list(1 << 40)[0]
    store = StateStore(home)
    chain = restore.Manifest.decode(newest.metadata).chain
    app = Application(store, restore=restore.Restore(store, home / "restore", chain))
    app.offer_snapshot(RequestOfferSnapshot(newest, restore.Manifest.decode(newest.metadata).app_hash))
    if moment == 0:
        store.replace, replace = (lambda contents: replace(lambda: half(contents))), store.replace
    def half(contents):
        for number, record in enumerate(contents()):
            if number == 20:
                print("now", flush=True)
                sys.stdin.readline()
            yield record
    for number in range(newest.chunks):
        app.apply_snapshot_chunk(RequestApplySnapshotChunk(number, kept.chunk(newest.height, 1, number)))
print("end", flush=True)
"""


def killed_at(*arguments: object) -> None:
    """Runs the program until it says that it is where it should be killed, and kills it."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.readline().strip()
        child.kill()
    assert said == "now"


@pytest.mark.parametrize("moment", [1, 3])
def test_kill_9_while_a_snapshot_is_written_leaves_none(source: Source, tmp_path: Path, moment: int) -> None:
    source.chain.app._store.close()
    killed_at("take", tmp_path / "killed", tmp_path / "source", moment)
    torn = [path.name for path in (tmp_path / "killed").iterdir()]
    assert torn == ["23.new"]
    again = Snapshots(tmp_path / "killed", 1)
    assert again.list(1 << 40) == () and list((tmp_path / "killed").iterdir()) == []
    store = StateStore(tmp_path / "source")
    again.take(store)
    again.wait()
    assert [each.height for each in again.list(1 << 40)] == [23]
    again.close()
    store.close()


@pytest.mark.parametrize("moment", [2, 0])
def test_kill_9_while_a_snapshot_is_restored_leaves_a_home_that_begins_again(
    source: Source, join, tmp_path: Path, moment: int
) -> None:
    """After the second chunk, and in the midst of the one transaction."""
    killed_at("restore", tmp_path / "joined", source.folder, moment)
    app = join()
    assert app.info(RequestInfo()).last_block_height == 0
    assert app.offer_snapshot(source.offer()).result is OfferResult.ACCEPT
    assert set(apply_all(app, source.chunks())) == {ChunkResult.ACCEPT}
