"""The device's end of the line to a small fleet: everything between recorder and broker, without the chain."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from small_fleet import SmallFleet
from small_hub import CHAIN_ID

from appliance.agent.answer import Enrolment
from appliance.agent.certificates import CertificateStore
from appliance.agent.clock import HubClock
from appliance.agent.commands import Commands
from appliance.agent.connection import Broker, Connection, Presence
from appliance.agent.delivery import Delivery
from appliance.agent.enrolment import enrol
from appliance.agent.gpus import NoGpus
from appliance.agent.identity import Identity, open_identity
from appliance.agent.inventory import Inventory
from appliance.agent.recorder import Recorder, RecordKey
from appliance.agent.settings import Settings
from appliance.agent.spool import Spool
from fleet.protocol.topics import COMMAND_POG, DELEGATION, RECEIPT, WORK


@dataclass
class Line:
    """The device's end: everything between recorder and broker, without the chain."""

    identity: Identity
    enrolment: Enrolment
    settings: Settings
    spool: Spool
    recorder: Recorder
    delivery: Delivery
    connection: Connection
    commands: Commands
    stop: threading.Event
    threads: list[threading.Thread]

    def start(self) -> None:
        self.threads = [
            threading.Thread(target=part.run, args=(self.stop,), daemon=True)
            for part in (self.connection, self.delivery)
        ]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        self.stop.set()
        self.connection.wake()
        self.delivery.wake()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


def make_line(fleet: SmallFleet, settings: Settings, events) -> Line:
    clock = HubClock()
    enrolment = enrol(settings, fleet.hub.url, fleet.hub.token.text, emit=events, clock=clock)
    identity = open_identity(settings.identity_file)
    spool = Spool(settings.spool_file)
    spool.open_chain(enrolment.chain)
    boot = b"b" * 16
    delivery = Delivery(
        spool=spool,
        device=identity.device,
        chain_id=CHAIN_ID,
        command_key=lambda: enrolment.command_key.public,
        publish_delegation=lambda envelope, heard: connection.publish(DELEGATION, envelope, heard),
        publish_work=lambda record: connection.publish(WORK, record.envelope),
        clock=clock,
        emit=events,
        receipt_timeout_s=0.5,
    )
    recorder = Recorder(
        identity=identity,
        boot=boot,
        chain_id=CHAIN_ID,
        spool=spool,
        record_key=RecordKey(identity, boot, CHAIN_ID, spool, clock),
        clock=clock,
        gpus=NoGpus(),
        interval_ms=50,
        emit=events,
        appended=delivery.wake,
    )
    commands = Commands(settings.versions_file, identity, clock, enrolment)
    connection = Connection(
        topic_id=identity.topic_id,
        broker=lambda: Broker(
            "127.0.0.1", fleet.port, "home", enrolment.broker_ca_pem, CertificateStore(settings.tls_folder).file
        ),
        presence=Presence(boot, "dccn test", "test", clock.now_ms()),
        reported=lambda: Inventory(NoGpus()).reported(version=0, owner=None),
        receivers={RECEIPT: delivery.receive, COMMAND_POG: commands.receive},
        connected=delivery.restart,
        unheard=delivery.unheard,
        refused=lambda: None,
        clock=clock,
        emit=events,
        cap_s=0.2,
    )
    return Line(identity, enrolment, settings, spool, recorder, delivery, connection, commands, threading.Event(), [])


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    pause = threading.Event()
    for _ in range(int(timeout_s / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen in time")
