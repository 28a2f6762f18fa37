"""How the components fit together: what each one reads, and where its output goes. The whole walk on one page."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.agent.access_peer import AccessPeer
from appliance.agent.answer import Enrolment
from appliance.agent.boot_report import BootReport
from appliance.agent.certificates import CertificateStore
from appliance.agent.clock import HubClock
from appliance.agent.commands import Commands
from appliance.agent.connection import Broker, Connection, Presence
from appliance.agent.decommission import Decommission
from appliance.agent.delivery import Delivery
from appliance.agent.enrolment import Renewal, hub_client_for
from appliance.agent.events import Emit
from appliance.agent.gpus import find_gpus
from appliance.agent.identity import Identity
from appliance.agent.inventory import Inventory
from appliance.agent.notices import Notices
from appliance.agent.owner import open_owner
from appliance.agent.problems import Problems
from appliance.agent.proving import POG, POG_OPEN, Proving
from appliance.agent.recorder import Recorder, RecordKey, read_boot_id
from appliance.agent.registration import Registration
from appliance.agent.settings import Settings
from appliance.agent.spool import Spool
from appliance.agent.status import StatusBoard
from appliance.agent.telemetry import Gauges, Telemetry
from appliance.agent.tpm.attestation import attestation_of, booted
from appliance.agent.update_report import UpdateReport
from appliance.agent.verified_chain import LightClients, VerifiedChain
from appliance.agent.workloads.loads import LeasedPods
from appliance.helper.client import Helper
from chain.crypto.address import address
from fleet.protocol.decommission import COMMAND_KIND
from fleet.protocol.topics import (
    COMMAND_DECOMMISSION,
    COMMAND_POG,
    COMMAND_POG_OPEN,
    COMMAND_UPDATE,
    DELEGATION,
    DESIRED,
    EVENT,
    POG_COMMIT,
    RECEIPT,
    TELEMETRY_GPU,
    TELEMETRY_SYSTEM,
    WORK,
)
from fleet.protocol.topics import (
    POG_OPEN as POG_OPENING,
)
from fleet.protocol.updates import LOOK

PEER_FASTEST_S, PEER_SLOWEST_S = 0.5, 10.0
CAP_INTERVALS = 5
CAP_LEAST_S = 2.0
STATM_PATH = Path("/proc/self/statm")


@dataclass(slots=True)
class Parts:
    """The assembled agent: components to run, how to wake and close them, and whether they still get anywhere."""

    components: list[Any] = field(default_factory=list)
    wakers: list[Callable[[], None]] = field(default_factory=list)
    closers: list[Callable[[], None]] = field(default_factory=list)
    is_well: Callable[[], bool] = lambda: True

    def wake(self) -> None:
        """Everybody who waits for work looks up and sees that it is over."""
        for waker in self.wakers:
            waker()

    def close(self) -> None:
        for closer in self.closers:
            closer()


class Current:
    """The enrolment in force: renewals replace it, readers in all threads see one or the other."""

    def __init__(self, enrolment: Enrolment) -> None:
        self.enrolment = enrolment

    def get(self) -> Enrolment:
        return self.enrolment


def assemble(
    settings: Settings,
    identity: Identity,
    enrolment: Enrolment,
    clock: HubClock,
    emit: Emit,
    *,
    agent: str,
    system: str,
) -> Parts:
    """Build every component for this home and enrolment, connected to each other. Nothing runs yet."""
    current, answer = Current(enrolment), enrolment.answer
    emit = Notices(
        emit, lambda level, code, event: connection.publish_json(EVENT, event, level=level, code=code), clock
    )
    interval_ms = settings.record_interval_ms or answer.record_interval_ms
    owner, gpus, boot = open_owner(settings.owner_file), find_gpus(), read_boot_id()
    spool = Spool(settings.spool_file, max_bytes=settings.spool_max_bytes)
    spool.open_chain(enrolment.chain)
    board = StatusBoard(settings.status_file, clock, face=settings.face_folder)
    commands = Commands(settings.versions_file, identity, clock, enrolment)
    record_key = RecordKey(identity, boot, answer.chain_id, spool, clock, booted(identity, emit))
    hub_account = address(enrolment.sponsor)
    certificate = CertificateStore(settings.tls_folder).file
    light = LightClients(settings.home, current.get, clock.now_ms, settings.http_timeout_s, certificate)
    chain = VerifiedChain(settings.rpc_urls or answer.rpc, hub_account, light.make, light.forget)
    inventory = Inventory(gpus)

    delivery = Delivery(
        spool=spool,
        device=identity.device,
        chain_id=answer.chain_id,
        command_key=lambda: current.get().command_key.public,
        publish_delegation=lambda envelope, heard: connection.publish(DELEGATION, envelope, heard),
        publish_work=lambda record: connection.publish(WORK, record.envelope),
        clock=clock,
        emit=emit,
        receipt_timeout_s=settings.receipt_timeout_s,
        may_send=lambda: registration.is_proven,
    )
    renewal = Renewal(settings, identity, clock, emit, lambda fresh: adopt(fresh))
    connection = Connection(
        topic_id=identity.topic_id,
        broker=lambda: _broker(current.get(), settings),
        presence=Presence(boot, agent, system, clock.now_ms()),
        reported=lambda: updates.mark(problems.mark(inventory.reported(version=commands.version, owner=owner.address))),
        receivers={
            DESIRED: commands.receive,
            COMMAND_POG: commands.receive,
            COMMAND_POG_OPEN: commands.receive,
            COMMAND_UPDATE: commands.receive,
            COMMAND_DECOMMISSION: commands.receive,
            RECEIPT: delivery.receive,
        },
        connected=delivery.restart,
        unheard=delivery.unheard,
        refused=renewal.ask_now,
        clock=clock,
        emit=emit,
        cap_s=reconnect_cap_s(settings, interval_ms),
    )
    recorder = Recorder(
        identity=identity,
        boot=boot,
        chain_id=answer.chain_id,
        spool=spool,
        record_key=record_key,
        clock=clock,
        gpus=gpus,
        interval_ms=interval_ms,
        emit=emit,
        appended=delivery.wake,
        loads=LeasedPods(emit),
    )
    proving = Proving(
        device=identity.device,
        chain_id=answer.chain_id,
        record_key=record_key.now,
        chain=chain,
        clock=clock,
        publish_commit=lambda envelope: delivery.send_delegations() and connection.publish(POG_COMMIT, envelope),
        publish_open=lambda envelope: connection.publish(POG_OPENING, envelope),
        note_answer=recorder.note_answer,
        emit=emit,
    )
    telemetry = Telemetry(
        Gauges(clock, str(settings.home)),
        gpus,
        clock,
        interval_s=settings.telemetry_interval_s,
        publish_system=lambda gauges: connection.publish_json(TELEMETRY_SYSTEM, gauges),
        publish_gpu=lambda index, gauges: connection.publish_json(TELEMETRY_GPU, gauges, index=index),
    )
    problems = Problems(clock, emit, connection.send_reported)
    updates = UpdateReport(
        lambda: (current.get().hub_url, current.get().ca_pem),
        settings.face_folder,
        emit,
        board.note,
        connection.send_reported,
    )
    registration_hub, peer_hub, tpm_hub, end_hub = (hub_client_for(enrolment, settings, clock) for _ in range(4))
    registration = Registration(
        identity=identity,
        owner=owner,
        enrolment=current.get,
        chain=chain,
        hub=registration_hub,
        board=board,
        emit=emit,
        file=settings.registration_file,
    )
    peer = AccessPeer(
        topic_id=identity.topic_id,
        owner=owner,
        hub_account=hub_account,
        chain=chain,
        hub=peer_hub,
        spool=spool,
        board=board,
        emit=emit,
        seen_file=settings.seen_file,
        chain_id=answer.chain_id,
        interval_s=settings.peer_interval_s or min(max(interval_ms / 1000, PEER_FASTEST_S), PEER_SLOWEST_S),
        rate_ops_per_s=lambda: proving.rate_ops_per_s,
    )

    ending = Decommission(
        identity=identity,
        owner=owner,
        enrolment=current.get,
        chain=chain,
        hub=end_hub,
        helper=Helper(settings.helper_socket) if settings.helper_socket.exists() else None,
        clock=clock,
        emit=emit,
    )
    attestation = attestation_of(
        identity,
        tpm_hub,
        lambda: current.get().command_key.public,
        emit,
        lambda level: board.note(evidence_level=level),
        record_key,
    )

    def adopt(fresh: Enrolment) -> None:
        current.enrolment = fresh
        commands.adopt(fresh)
        connection.rotate()

    def gauges() -> dict[str, object]:
        return _status_fields(current.get(), clock, connection, spool, recorder, delivery, commands, proving)

    commands.on(COMMAND_KIND, ending.take)
    if settings.prove:
        commands.on(POG, proving.take)
        commands.on(POG_OPEN, proving.take)
    commands.on(LOOK, updates.take)
    board.note(device=identity.topic_id, owner=owner.address, evidence_level=identity.evidence_level, enrolled=True)
    board.ask(gauges)
    board.ask(problems.status)
    boots = BootReport(boot.hex(), board.note, emit, lambda: connection.is_connected)
    return Parts(
        components=[
            *[
                connection,
                recorder,
                delivery,
                registration,
                peer,
                proving,
                telemetry,
                problems,
                renewal,
                boots,
                ending,
                board,
            ],
            *attestation,
            updates,
        ],
        wakers=[
            *[connection.wake, delivery.wake, proving.wake, renewal.wake, updates.wake, ending.wake],
            *[each.wake for each in attestation],
        ],
        closers=[registration_hub.close, peer_hub.close, tpm_hub.close, end_hub.close, board.close, spool.close],
        is_well=board.is_moving,
    )


def reconnect_cap_s(settings: Settings, interval_ms: int) -> float:
    """The longest wait before dialling again: a few records' worth, so that a fast demonstration comes back fast."""
    return min(settings.reconnect_cap_s, max(CAP_LEAST_S, CAP_INTERVALS * interval_ms / 1000))


def _broker(enrolment: Enrolment, settings: Settings) -> Broker:
    answer = enrolment.answer
    certificate = CertificateStore(settings.tls_folder).file
    return Broker(answer.broker_host, answer.broker_port, answer.fleet, enrolment.broker_ca_pem, certificate)


def _status_fields(
    enrolment: Enrolment,
    clock: HubClock,
    connection: Connection,
    spool: Spool,
    recorder: Recorder,
    delivery: Delivery,
    commands: Commands,
    proving: Proving,
) -> dict[str, object]:
    depth, head = spool.depth(), spool.head()
    receipt = delivery.last_receipt
    state = "rolled_back" if delivery.is_rolled_back else "full" if recorder.is_full else "ok"
    return {
        "fleet": enrolment.answer.fleet,
        "hub_url": enrolment.hub_url,
        "chain_id": enrolment.answer.chain_id,
        "certificate_not_after_ms": enrolment.not_after_ms,
        "connected": connection.is_connected,
        "clock_offset_ms": clock.offset_ms,
        "spool_records": depth.records,
        "spool_bytes": depth.bytes_used,
        "spool_max_bytes": depth.max_bytes,
        "spool_state": state,
        "next_seq": head.next_seq if head else None,
        "accepted_seq": spool.accepted_upto(head.chain) if head else None,
        "last_receipt_ms": receipt.time_ms if receipt else None,
        "command_version": commands.version,
        "pog_height": proving.last_height,
        "pog_rate_ops_per_s": proving.rate_ops_per_s,
        "rss_bytes": _resident_bytes(),
    }


def _resident_bytes() -> int | None:
    try:
        pages = int(STATM_PATH.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGESIZE")
