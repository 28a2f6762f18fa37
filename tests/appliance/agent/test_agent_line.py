"""The line to the fleet over a real mosquitto: presence, records until received, restarts of every end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from small_fleet import SmallFleet
from small_hub import CHAIN_ID, SmallHub
from small_line import Line, make_line, wait_for

from appliance.agent.clock import HubClock
from appliance.agent.commands import Commands
from appliance.agent.connection import full_jitter_s
from appliance.agent.settings import Settings
from chain.crypto.keys import PrivateKey
from chain.errors import Refused
from chain.proofs.commands import Command, sign_command
from chain.proofs.delegation import open_delegation
from chain.proofs.receipts import Receipt, sign_receipt
from chain.proofs.records import open_record
from fleet.protocol.limits import RECEIVE_MAXIMUM
from fleet.protocol.messages import Reported, State, decode
from fleet.protocol.topics import COMMAND_POG, DELEGATION, RECEIPT, REPORTED, STATE, WORK


@pytest.fixture
def line(fleet: SmallFleet, home, events) -> Iterator[Line]:
    line = make_line(fleet, Settings(home=home), events)
    yield line
    line.end()
    line.spool.close()


def states(fleet: SmallFleet) -> list[State]:
    return [decode(heard.payload, State) for heard in fleet.of(STATE)]


def test_the_device_says_who_and_what_it_is(fleet: SmallFleet, line: Line) -> None:
    line.start()
    state = fleet.until(lambda: states(fleet))[0]
    assert state.online and state.boot == "62" * 16
    reported = decode(fleet.until(lambda: fleet.of(REPORTED))[0].payload, Reported)
    assert reported.hardware.cpu_model and reported.hardware.memory_bytes
    assert fleet.of(REPORTED)[0].properties.ContentType == "application/json"


def test_a_graceful_stop_says_shutdown(fleet: SmallFleet, line: Line) -> None:
    line.start()
    fleet.until(lambda: states(fleet))
    line.end()
    last = fleet.until(lambda: [state for state in states(fleet) if not state.online])
    assert last[0].reason == "shutdown"


def test_records_travel_and_leave_the_spool_only_with_a_receipt(fleet: SmallFleet, line: Line, events) -> None:
    fleet.answering = False
    for _ in range(3):
        line.recorder.record()
    line.start()
    fleet.until(lambda: len(fleet.of(WORK)) >= 3)
    assert line.spool.depth().records == 3
    fleet.answering = True
    line.delivery.restart()
    wait_for(lambda: line.spool.depth().records == 0)
    assert events.named("record_accepted")[-1]["seq"] == 2


def test_the_delegation_comes_before_its_first_record_and_covers_it(fleet: SmallFleet, line: Line) -> None:
    line.recorder.record()
    line.start()
    fleet.until(lambda: fleet.of(WORK))
    order = [heard.leaf for heard in fleet.heard if heard.leaf in (DELEGATION.name, WORK.name)]
    assert order[0] == DELEGATION.name
    delegation = open_delegation(fleet.of(DELEGATION)[0].payload).check(line.identity.public, CHAIN_ID)
    record = open_record(fleet.of(WORK)[0].payload)
    assert record.verify(delegation.record_public, CHAIN_ID) and delegation.covers(record.record)


def test_at_most_receive_maximum_records_are_under_way(fleet: SmallFleet, line: Line) -> None:
    fleet.answering = False
    for _ in range(RECEIVE_MAXIMUM + 5):
        line.recorder.record()
    line.start()
    fleet.until(lambda: len(fleet.of(WORK)) >= RECEIVE_MAXIMUM)
    assert line.delivery.send() == 0
    distinct = {heard.payload for heard in fleet.of(WORK)}
    assert len(distinct) == RECEIVE_MAXIMUM


def test_records_without_a_receipt_are_sent_again(fleet: SmallFleet, line: Line) -> None:
    fleet.answering = False
    line.recorder.record()
    line.start()
    fleet.until(lambda: len(fleet.of(WORK)) >= 2)
    assert len({heard.payload for heard in fleet.of(WORK)}) == 1


def test_what_the_hub_misses_is_sent_again_at_once(fleet: SmallFleet, line: Line) -> None:
    fleet.answering = False
    for _ in range(3):
        line.recorder.record()
    line.start()
    fleet.until(lambda: len(fleet.of(WORK)) >= 3)
    line.delivery._receipt_timeout_s = 1_000.0
    sent = len(fleet.of(WORK))
    receipt = Receipt(line.identity.device, line.enrolment.chain, None, bytes(32), (1,), fleet.hub.now_ms())
    fleet.send(RECEIPT, line.identity.topic_id, sign_receipt(receipt, fleet.hub.keys.command, CHAIN_ID))
    fleet.until(lambda: len(fleet.of(WORK)) > sent)
    assert open_record(fleet.of(WORK)[-1].payload).record.seq == 1
    assert line.spool.depth().records == 3


def test_a_forged_receipt_deletes_nothing_and_is_told(fleet: SmallFleet, line: Line, events) -> None:
    fleet.answering = False
    line.recorder.record()
    line.start()
    fleet.until(lambda: fleet.of(WORK))
    receipt = Receipt(line.identity.device, line.enrolment.chain, 0, bytes(32), (), fleet.hub.now_ms())
    fleet.send(RECEIPT, line.identity.topic_id, sign_receipt(receipt, PrivateKey.generate("ed25519"), CHAIN_ID))
    wait_for(lambda: events.named("command_refused"))
    assert events.named("command_refused")[0]["code"] == "bad_signature"
    assert line.spool.depth().records == 1


def test_an_old_copy_of_the_disk_is_noticed(fleet: SmallFleet, line: Line, events) -> None:
    line.recorder.record()
    receipt = Receipt(line.identity.device, line.enrolment.chain, 9, b"h" * 32, (), fleet.hub.now_ms())
    with pytest.raises(Refused):
        line.delivery.receive(sign_receipt(receipt, fleet.hub.keys.command, CHAIN_ID))
    assert line.delivery.is_rolled_back
    assert events.named("chain_rolled_back") == [{"hub_seq": 9, "own_seq": 0}]


def test_records_survive_a_restart_of_the_broker(fleet: SmallFleet, line: Line) -> None:
    line.start()
    line.recorder.record()
    wait_for(lambda: line.spool.depth().records == 0)
    fleet.broker.stop()
    line.recorder.record()
    wait_for(lambda: not line.connection.is_connected)
    fleet.start_broker()
    line.recorder.record()
    wait_for(lambda: line.spool.depth().records == 0)
    assert len(fleet.records[line.enrolment.chain]) == 3


def test_what_met_no_hub_at_the_broker_is_sent_again_with_its_delegation(fleet: SmallFleet, line: Line) -> None:
    """A broker that was killed forgets the hub's session; a device that dials first speaks to nobody."""
    line.delivery._receipt_timeout_s = 1_000.0
    fleet.silence()
    line.recorder.record()
    line.start()
    wait_for(lambda: line.delivery._is_unheard.is_set())
    fleet.listen()
    wait_for(lambda: line.spool.depth().records == 0)
    order = [heard.leaf for heard in fleet.heard if heard.leaf in (DELEGATION.name, WORK.name)]
    assert order[0] == DELEGATION.name


def test_nothing_is_sent_before_a_hub_could_hear_the_delegation(line: Line) -> None:
    """Else a hub that comes back between the two hears a record of a key that nobody delegated to."""
    told: list[Callable[[], None]] = []
    sent: list[int] = []
    line.delivery._publish_delegation = lambda _envelope, heard: told.append(heard) or True
    line.delivery._publish_work = lambda record: sent.append(record.seq) or True
    line.recorder.record()
    assert line.delivery.send() == line.delivery.send() == 0
    assert len(told) == 1 and not sent
    told[0]()
    assert line.delivery.send() == 1 and sent == [0]

    line.delivery.unheard()  # the broker had no hub for the record
    assert line.delivery.send() == 0
    told[1]()
    assert line.delivery.send() == 1 and sent == [0, 0]


def test_a_delegation_can_go_ahead_of_its_first_record(fleet: SmallFleet, line: Line, events) -> None:
    line.start()
    wait_for(lambda: len(events.named("connected")) == 1)
    line.recorder._record_key.now()
    assert line.delivery.send_delegations() and line.delivery.send_delegations()
    fleet.until(lambda: fleet.of(DELEGATION))
    line.recorder.record()
    fleet.until(lambda: fleet.of(WORK))
    assert len(fleet.of(DELEGATION)) == 1


def test_a_renewed_certificate_changes_the_connection_without_an_offline(fleet: SmallFleet, line: Line, events) -> None:
    line.start()
    wait_for(lambda: len(events.named("connected")) == 1)
    line.connection.rotate()
    wait_for(lambda: len(events.named("connected")) == 2)
    line.recorder.record()
    wait_for(lambda: line.spool.depth().records == 0)
    assert all(state.online for state in states(fleet))


def test_a_command_is_obeyed_once_and_forgeries_never(fleet: SmallFleet, line: Line, events) -> None:
    obeyed: list[Command] = []
    line.commands.on("pog", obeyed.append)
    line.start()
    wait_for(lambda: line.connection.is_connected)
    good = Command("home", line.identity.device, 1, fleet.hub.now_ms() + 60_000, "pog", [1, "test", 1000])
    command_key = fleet.hub.keys.command
    forged = sign_command(replace(good, version=2), PrivateKey.generate("ed25519"), CHAIN_ID)
    late = sign_command(replace(good, version=3, not_after_ms=fleet.hub.now_ms() - 1), command_key, CHAIN_ID)
    other = sign_command(replace(good, version=4, device=b"o" * 32), command_key, CHAIN_ID)
    for envelope in (sign_command(good, command_key, CHAIN_ID),) * 2 + (forged, late, other, b"\xff\x00"):
        fleet.send(COMMAND_POG, line.identity.topic_id, envelope)
    wait_for(lambda: len(events.named("command_refused")) == 5)
    assert obeyed == [good]
    assert {str(fields["code"]) for fields in events.named("command_refused")} == {"command_invalid", "malformed"}
    assert json.loads(line.settings.versions_file.read_text()) == {"highest_version": 1}
    again = Commands(line.settings.versions_file, line.identity, HubClock(), line.enrolment)
    with pytest.raises(Refused, match="not after 1"):
        again.receive(sign_command(good, command_key, CHAIN_ID))


def test_another_devices_certificate_cannot_speak_for_this_one(fleet: SmallFleet, line: Line, hub: SmallHub) -> None:
    line.start()
    fleet.until(lambda: states(fleet))
    assert line.connection._client is not None
    line.connection._client.publish(STATE.topic("home", "f" * 32), b"spoken for another", 1).wait_for_publish(5)
    line.recorder.record()
    fleet.until(lambda: len(fleet.of(WORK)) >= 1)
    assert all(later.payload != b"spoken for another" for later in fleet.heard)


@pytest.mark.parametrize("failures", range(20))
def test_the_wait_before_dialling_again_grows_is_random_and_bounded(failures: int) -> None:
    longest = full_jitter_s(failures, 60.0, lambda: 0.999999)
    assert longest <= 60.0 and full_jitter_s(failures, 60.0, lambda: 0.0) == 0.0
    assert longest <= full_jitter_s(failures + 1, 60.0, lambda: 0.999999)
