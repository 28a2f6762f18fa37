"""Work records: chained, certified, honest about time, and silent when the disk is full."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from appliance.agent.files import exclusively, write_json
from appliance.agent.gpus import NoGpus
from appliance.agent.identity import open_identity
from appliance.agent.keyfile import load_or_create
from appliance.agent.owner import open_owner
from appliance.agent.recorder import DELEGATED_MS, Recorder, RecordKey, read_boot_id
from appliance.agent.spool import Spool
from chain.errors import Faulty
from chain.proofs.delegation import open_delegation
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import Answer, Load, open_record

BOOT = b"b" * 16


class Desk:
    """A recorder with its spool, on a clock that is moved by hand."""

    def __init__(self, home: Path, clock, events, max_bytes: int = 1 << 20) -> None:
        self.identity = open_identity(home / "identity.key")
        self.spool = Spool(home / "spool.sqlite", max_bytes=max_bytes)
        self.spool.open_chain(b"c" * 16)
        self.key = RecordKey(self.identity, BOOT, "chain", self.spool, clock)
        self.appended = 0
        self.loads: tuple[Load, ...] = ()
        self.recorder = Recorder(
            identity=self.identity,
            boot=BOOT,
            chain_id="chain",
            spool=self.spool,
            record_key=self.key,
            clock=clock,
            gpus=NoGpus(),
            interval_ms=1_000,
            emit=events,
            appended=self._count,
            host=lambda _clock: {"uptime_ms": int(clock.monotonic_s() * 1000)},
            loads=lambda: self.loads,
        )

    def _count(self) -> None:
        self.appended += 1

    def records(self) -> list:
        return [open_record(waiting.envelope) for waiting in self.spool.waiting(limit=1_000)]

    def delegations(self) -> dict:
        opened = [open_delegation(data).check(self.identity.public, "chain") for data in self.spool.delegations()]
        return {delegation.key_id: delegation for delegation in opened}


@pytest.fixture
def desk(home: Path, clock, events) -> Desk:
    return Desk(home, clock, events)


def test_what_leased_pods_used_is_in_the_record_of_the_time(desk: Desk, clock) -> None:
    first = Load("a", "sha256:00", cpu_ns=5, gpu_ms=None, rss=7, tx=None, rx=None, state="running")
    for loads in ((first,), (), (first, replace(first, lease="b", state="failed"))):
        desk.loads = loads
        clock.pass_ms(1_000)
        desk.recorder.record()
        assert desk.records()[-1].record.loads == loads


def test_records_form_one_chain_without_holes_in_time(desk: Desk, clock) -> None:
    for _ in range(4):
        clock.pass_ms(1_000)
        desk.recorder.record()
    records, chain = desk.records(), RecordChain(desk.identity.device, b"c" * 16)
    for signed in records:
        chain.advance(signed.record, signed.hash)
    times = [(signed.record.from_ms, signed.record.to_ms) for signed in records]
    assert all(before[1] == after[0] for before, after in pairwise(times))
    assert desk.appended == 4


def test_every_record_is_covered_by_a_delegation(desk: Desk, clock) -> None:
    for _ in range(3):
        clock.pass_ms(1_000)
        desk.recorder.record()
    delegations = desk.delegations()
    assert len(delegations) == 1
    for signed in desk.records():
        delegation = delegations[signed.envelope.kid]
        assert signed.verify(delegation.record_public, "chain") and delegation.covers(signed.record)


def test_who_vouches_for_record_keys_is_told_of_each_new_one(desk: Desk, clock) -> None:
    told: list[bytes] = []
    desk.key.on_new(lambda: told.append(b"new"))
    keys = {desk.key.now().public.x}
    for _ in range(3):
        keys.add(desk.key.now().public.x)
    clock.pass_ms(DELEGATED_MS)
    keys.add(desk.key.now().public.x)
    assert (len(told), len(keys)) == (2, 2)


def test_a_machine_that_runs_for_months_gets_a_new_record_key_in_time(desk: Desk, clock) -> None:
    desk.recorder.record()
    clock.pass_ms(DELEGATED_MS - 60_000)
    desk.recorder.record()
    delegations = desk.delegations()
    assert len(delegations) == 2
    assert all(delegations[signed.envelope.kid].covers(signed.record) for signed in desk.records())


def test_a_clock_that_is_set_back_leaves_no_negative_interval(desk: Desk, clock) -> None:
    desk.recorder.record()
    clock.ms -= 3_600_000
    desk.recorder.record()
    last = desk.records()[-1]
    assert last.record.to_ms - last.record.from_ms == 1_000
    assert desk.delegations()[last.envelope.kid].covers(last.record)


def test_an_answered_challenge_stands_in_the_next_record_once(desk: Desk) -> None:
    answer = Answer(7, "pog", b"r" * 32)
    desk.recorder.note_answer(answer)
    desk.recorder.record()
    desk.recorder.record()
    assert [signed.record.answers for signed in desk.records()] == [(answer,), ()]


def test_a_full_spool_stops_recording_tells_once_and_goes_on(home: Path, clock, events) -> None:
    desk = Desk(home, clock, events, max_bytes=4_000)
    while desk.recorder.record() is not None:
        clock.pass_ms(1_000)
    assert desk.recorder.is_full and desk.recorder.record() is None
    assert len(events.named("spool_full")) == 1
    last = desk.records()[-1]
    desk.spool.acknowledge(b"c" * 16, last.record.seq, last.hash, b"receipt")
    clock.pass_ms(60_000)
    assert desk.recorder.record() is not None and not desk.recorder.is_full
    assert events.named("spool_resumed")
    resumed = desk.records()[-1].record
    assert resumed.seq == last.record.seq + 1 and resumed.from_ms == last.record.to_ms


def test_the_boot_id_is_the_kernels(tmp_path: Path) -> None:
    path = tmp_path / "boot_id"
    path.write_text("6f9619ff-8b86-d011-b42d-00c04fc964ff\n")
    assert read_boot_id(path).hex() == "6f9619ff8b86d011b42d00c04fc964ff"
    assert len(read_boot_id()) == 16
    with pytest.raises(Faulty):
        read_boot_id(tmp_path / "none")


# Keys and files ------------------------------------------------------------------------------------------------------


def test_identity_and_owner_are_made_once(home: Path) -> None:
    first, again = open_identity(home / "i"), open_identity(home / "i")
    assert first == again and first.key.public.algorithm == "p256" and len(first.topic_id) == 32
    owner = open_owner(home / "o")
    assert owner == open_owner(home / "o") and owner.address.startswith("ankr1")


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"algorithm": "p256", "secret": "00"}'])
def test_a_damaged_key_is_refused_and_not_replaced(home: Path, text: str) -> None:
    path = home / "identity.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(Faulty) as fault:
        open_identity(path)
    assert fault.value.code == "home_invalid" and path.read_text() == text


def test_a_key_that_others_can_read_is_refused(home: Path) -> None:
    load_or_create(home / "key", "ed25519", "test")
    (home / "key").chmod(0o644)
    with pytest.raises(Faulty, match="chmod 600"):
        load_or_create(home / "key", "ed25519", "test")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(Faulty) as fault:
        write_json(tmp_path / "a file" / "file", {})
    assert "a file" in fault.value.message


def test_two_agents_on_one_home_refuse_each_other(home: Path) -> None:
    with exclusively(home):
        with pytest.raises(Faulty) as fault, exclusively(home):
            pass
        assert fault.value.code == "home_invalid" and "another agent" in fault.value.message
    with exclusively(home):
        assert (home / "agent.lock").exists()
