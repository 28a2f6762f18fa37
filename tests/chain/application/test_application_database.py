"""The store: all of a commit or nothing, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chain.application.database import Database
from chain.application.store import StateStore, height_key
from chain.errors import Faulty

KIB = 1024


def test_one_write_changes_all_its_tables_together(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    store.write({"state": {b"a": b"1", b"b": b"2"}, "meta": {StateStore.HEIGHT: height_key(7)}})
    store.write({"state": {b"a": None}})
    assert (store.state(b"a"), store.state(b"b"), store.height) == (None, b"2", 7)


def test_a_reopened_store_holds_what_was_written(tmp_path: Path) -> None:
    first = StateStore(tmp_path)
    first.write({"state": {b"k": b"v"}, "meta": {StateStore.APP_HASH: b"h" * 32}})
    first.close()
    again = StateStore(tmp_path)
    assert list(again.pairs()) == [(b"k", b"v")]
    assert again.app_hash == b"h" * 32


def test_the_map_grows_when_a_block_does_not_fit(tmp_path: Path) -> None:
    store = Database(tmp_path, ("t",), initial_bytes=64 * KIB)
    content = {index.to_bytes(4, "big"): bytes(512) for index in range(2_000)}
    store.write({"t": content})
    assert dict(store.items("t")) == content


def test_items_and_ends_are_in_the_order_of_keys(tmp_path: Path) -> None:
    store = Database(tmp_path, ("t", "empty"))
    store.write({"t": {height_key(height): b"%d" % height for height in (300, 2, 1, 256)}})
    assert [value for _, value in store.items("t", height_key(2), height_key(300))] == [b"2", b"256"]
    assert store.first("t") == (height_key(1), b"1")
    assert store.last("t") == (height_key(300), b"300")
    assert (store.first("empty"), store.last("empty"), list(store.items("empty", b"x"))) == (None, None, [])


def test_a_full_disk_is_one_clear_error_and_leaves_the_last_commit(tmp_path: Path) -> None:
    """The child may write files of at most 256 KiB, which is what a full disk looks like from inside."""
    program = f"""
import resource, signal
from pathlib import Path
from chain.application.store import StateStore
from chain.errors import DccnError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = StateStore(Path({str(tmp_path)!r}))
store.write({{"state": {{b"before": b"kept"}}}})
resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, 256 * 1024))
try:
    store.write({{"state": {{index.to_bytes(4, "big"): bytes(1000) for index in range(2000)}}}})
except DccnError as error:
    print(error.code, len(list(store.pairs())), store.state(b"before").decode())
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert answer.stdout.split() == ["disk_full", "1", "kept"], answer.stderr


def test_a_kill_between_two_commits_leaves_a_whole_one(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from chain.application.store import StateStore, height_key
store = StateStore(Path({str(tmp_path)!r}))
for height in range(1, 100_000):
    value = b"%d" % height
    store.write({{"state": {{b"one": value, b"two": value}}, "meta": {{StateStore.HEIGHT: height_key(height)}}}})
    print(height, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    announced = 0
    for line in child.stdout:
        announced = int(line)
        if announced >= 20:
            break
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    store = StateStore(tmp_path)
    assert store.height >= announced
    assert store.state(b"one") == store.state(b"two") == b"%d" % store.height


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(Faulty, match=str(tmp_path)) as caught:
        StateStore(tmp_path)
    assert caught.value.code == "state_corrupt"
