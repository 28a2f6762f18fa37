"""The spool keeps what left the machine, whatever happens to the machine."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.agent.spool import Head, Signed, Spool
from chain.errors import DccnError, Faulty, Refused

CHAIN = b"c" * 16
KID = b"k" * 16


def signed(head: Head, note: bytes = b"") -> Signed:
    payload = b"|".join([head.chain, b"%d" % head.next_seq, head.head_hash, note])
    return Signed(b"envelope of " + payload, sha256(payload).digest(), KID)


def append(spool: Spool, note: bytes = b"") -> Head:
    return spool.append(lambda head: signed(head, note))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "spool.sqlite")
    spool.open_chain(CHAIN)
    return spool


def test_records_are_numbered_and_chained(spool: Spool) -> None:
    first, second = append(spool), append(spool)
    assert (first.next_seq, second.next_seq) == (1, 2)
    waiting = spool.waiting(limit=10)
    assert [record.seq for record in waiting] == [0, 1]
    assert first.head_hash in waiting[1].envelope
    assert spool.head() == second


def test_without_an_enrolment_there_is_no_chain_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(Faulty, match="enrol first"):
        append(Spool(tmp_path / "spool.sqlite"))


def test_a_record_that_could_not_be_made_takes_no_number(spool: Spool) -> None:
    def fail(_head: Head) -> Signed:
        raise ValueError("sensor on fire")

    with pytest.raises(ValueError, match="sensor"):
        spool.append(fail)
    assert append(spool).next_seq == 1


def test_only_a_receipt_deletes_and_a_repeated_one_changes_nothing(spool: Spool) -> None:
    heads = [append(spool) for _ in range(5)]
    assert spool.acknowledge(CHAIN, 2, heads[2].head_hash, b"receipt") == 3
    assert [record.seq for record in spool.waiting(limit=10)] == [3, 4]
    assert spool.acknowledge(CHAIN, 2, heads[2].head_hash, b"receipt") == 0
    assert spool.acknowledge(CHAIN, 1, heads[1].head_hash, b"late receipt") == 0
    assert spool.accepted_upto(CHAIN) == 2
    assert spool.accepted_hash(CHAIN, 2) == heads[2].head_hash


def test_a_receipt_for_another_record_under_our_number_deletes_nothing(spool: Spool) -> None:
    append(spool)
    with pytest.raises(Refused) as refusal:
        spool.acknowledge(CHAIN, 0, b"x" * 32, b"receipt")
    assert refusal.value.code == "record_contradiction"
    assert spool.depth().records == 1


def test_a_receipt_ahead_of_this_disk_says_that_an_old_copy_runs(spool: Spool) -> None:
    append(spool)
    with pytest.raises(Refused) as refusal:
        spool.acknowledge(CHAIN, 7, b"x" * 32, b"receipt")
    assert refusal.value.code == "record_gap"


def test_a_receipt_for_a_foreign_chain_is_refused(spool: Spool) -> None:
    with pytest.raises(Refused) as refusal:
        spool.acknowledge(b"o" * 16, 0, b"x" * 32, b"receipt")
    assert refusal.value.code == "record_foreign"


def test_delegations_stay_while_a_record_needs_them(spool: Spool) -> None:
    spool.store_delegation(KID, b"boot-one", b"first delegation", 1)
    head = append(spool)
    spool.store_delegation(b"n" * 16, b"boot-two", b"second delegation", 2)
    assert spool.delegations() == [b"first delegation", b"second delegation"]
    spool.acknowledge(CHAIN, 0, head.head_hash, b"receipt")
    spool.store_delegation(b"m" * 16, b"boot-three", b"third delegation", 3)
    assert spool.delegations() == [b"third delegation"]


def test_a_new_chain_leaves_the_old_records_to_be_sent(spool: Spool) -> None:
    append(spool)
    spool.open_chain(b"d" * 16)
    assert append(spool).next_seq == 1
    assert {record.chain for record in spool.waiting(limit=10)} == {CHAIN, b"d" * 16}


def test_a_full_spool_says_so_and_goes_on_after_a_receipt(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", max_bytes=3_000)
    spool.open_chain(CHAIN)
    heads = []
    with pytest.raises(Faulty) as fault:
        for _ in range(100):
            heads.append(append(spool))
    assert fault.value.code == "disk_full"
    assert spool.depth().is_full
    spool.acknowledge(CHAIN, heads[-1].next_seq - 1, heads[-1].head_hash, b"receipt")
    assert append(spool).next_seq == heads[-1].next_seq + 1


def test_a_full_disk_is_disk_full_and_takes_no_number(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    spool = Spool(path)
    spool.open_chain(CHAIN)
    append(spool)
    database = spool._database
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count={pages}")  # SQLite's own way to meet a disk without a free block
    with pytest.raises(Faulty) as fault:
        for _ in range(200):
            append(spool, b"x" * 2_000)
    assert fault.value.code == "disk_full"
    head = spool.head()
    assert head is not None and head.next_seq == len(spool.waiting(limit=1_000))
    database.execute("PRAGMA max_page_count=100000")
    assert append(spool).next_seq == head.next_seq + 1


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(Faulty) as fault:
        Spool(path)
    assert fault.value.code == "home_invalid" and str(path) in fault.value.message


# Kills ---------------------------------------------------------------------------------------------------------------


def busy(spool: Spool, published: Callable[[int, bytes], None]) -> None:
    """A life of a spool: every kind of write, and what would leave the machine after each commit."""
    spool.open_chain(CHAIN)
    spool.store_delegation(os.urandom(16), b"boot", b"delegation", 1)
    for _ in range(2):
        head = append(spool, os.urandom(8))
        published(head.next_seq - 1, head.head_hash)
    head = spool.head()
    assert head is not None
    spool.acknowledge(CHAIN, head.next_seq - 2, _hash_of(spool, head.next_seq - 2), b"receipt")
    head = append(spool, os.urandom(8))
    published(head.next_seq - 1, head.head_hash)


def _hash_of(spool: Spool, seq: int) -> bytes:
    row = spool._one("SELECT payload_hash FROM record WHERE chain = ? AND seq = ?", (CHAIN, seq))
    assert row is not None
    return bytes(row[0])


class PublishedLog:
    """What left the machine, in a file that no kill can take back. One seq has one hash, or an assertion fails."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def add(self, seq: int, digest: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(seq.to_bytes(8, "big") + digest)

    def read(self) -> dict[int, bytes]:
        data, found = self._path.read_bytes(), {}
        for at in range(0, len(data), 40):
            seq, digest = int.from_bytes(data[at : at + 8], "big"), data[at + 8 : at + 40]
            assert found.setdefault(seq, digest) == digest, f"two records were signed under {seq}"
        return found


def check_nothing_lost(path: Path, published: dict[int, bytes]) -> None:
    spool = Spool(path)
    head = spool.head()
    if published:
        assert head is not None and head.next_seq > max(published)
    upto = spool.accepted_upto(CHAIN)
    stored = {record.seq for record in spool.waiting(limit=10_000)}
    for seq, digest in published.items():
        if seq in stored:
            assert _hash_of(spool, seq) == digest
        else:
            assert upto is not None and seq <= upto
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    spool.close()


def dies_at(crossing: int) -> Callable[[str], None]:
    """A `step` that kills this process at the given crossing."""
    left = itertools.count(-crossing)

    def step(_boundary: str) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


def test_kill_nine_at_every_write_boundary_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path, log = tmp_path / "spool.sqlite", PublishedLog(tmp_path / "published")
    for kill_at in range(1_000):
        child = os.fork()
        if child == 0:
            try:
                busy(Spool(path, step=dies_at(kill_at)), log.add)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        check_nothing_lost(path, log.read())
        if not os.WIFSIGNALED(status):
            break
    assert kill_at >= 25, "fewer write boundaries than the spool has"
    assert len(log.read()) > kill_at / 2


def test_a_copy_of_the_files_at_any_write_boundary_is_a_whole_spool(tmp_path: Path) -> None:
    path, published, copies = tmp_path / "spool.sqlite", dict[int, bytes](), 0

    def copy(_boundary: str) -> None:
        nonlocal copies
        target = tmp_path / f"copy{copies}"
        target.mkdir()
        for name in ("spool.sqlite", "spool.sqlite-wal"):
            if (tmp_path / name).exists():
                shutil.copy(tmp_path / name, target / name)
        check_nothing_lost(target / "spool.sqlite", published)
        copies += 1

    busy(Spool(path, step=copy), lambda seq, digest: published.__setitem__(seq, digest))
    assert copies >= 25


def test_a_half_written_journal_gives_the_state_before_or_after_the_last_commit(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite")
    spool.open_chain(CHAIN)
    append(spool)
    wal = tmp_path / "spool.sqlite-wal"
    before = wal.stat().st_size
    append(spool)
    data = wal.read_bytes()
    heads = set()
    for length in range(before, len(data) + 1, 509):
        target = tmp_path / f"cut{length}"
        target.mkdir()
        shutil.copy(tmp_path / "spool.sqlite", target)
        (target / "spool.sqlite-wal").write_bytes(data[:length])
        head = Spool(target / "spool.sqlite").head()
        assert head is not None
        heads.add(head.next_seq)
    assert heads <= {1, 2} and 1 in heads


# Laws ----------------------------------------------------------------------------------------------------------------


class SpoolLife(RuleBasedStateMachine):
    """Any order of appends, failures, receipts and restarts against a plain model."""

    @initialize()
    def start(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "spool.sqlite"
        self.spool = Spool(self.path, max_bytes=8_000)
        self.spool.open_chain(CHAIN)
        self.hashes: list[bytes] = []
        self.accepted = -1

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            self.folder.cleanup()

    @rule(note=st.binary(max_size=300))
    def append(self, note: bytes) -> None:
        try:
            head = append(self.spool, note)
        except Faulty as error:
            assert error.code == "disk_full" and self.spool.depth().is_full
            return
        assert head.next_seq == len(self.hashes) + 1
        self.hashes.append(head.head_hash)

    @rule()
    def crash_while_signing(self) -> None:
        def crash(_head: Head) -> Signed:
            raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt, DccnError):
            self.spool.append(crash)

    @precondition(lambda self: self.hashes)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        upto = data.draw(st.integers(0, len(self.hashes) - 1))
        gone = self.spool.acknowledge(CHAIN, upto, self.hashes[upto], b"receipt")
        assert gone == max(0, upto - self.accepted)
        self.accepted = max(self.accepted, upto)

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = Spool(self.path, max_bytes=8_000)

    @invariant()
    def what_waits_is_what_was_not_accepted(self) -> None:
        if hasattr(self, "hashes"):
            waiting = self.spool.waiting(limit=1_000)
            assert [record.seq for record in waiting] == list(range(self.accepted + 1, len(self.hashes)))
            assert self.spool.depth().records == len(waiting)
            head = self.spool.head()
            assert head is not None and head.next_seq == len(self.hashes)
            assert head.head_hash == (self.hashes[-1] if self.hashes else bytes(32))


TestSpoolLife = SpoolLife.TestCase
TestSpoolLife.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
