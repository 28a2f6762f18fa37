"""Work records through the hub's ingest, down to the disk, against bare signature verification."""

from __future__ import annotations

import gc
import itertools
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from nacl.bindings import crypto_sign_open

from chain.crypto.address import device_id
from chain.crypto.keys import PrivateKey
from chain.proofs import counters
from chain.proofs.delegation import Delegation, sign_delegation
from chain.proofs.record_chain import RecordChain
from chain.proofs.records import open_record, sign_record
from fleet.hub.actions.bus import EventBus
from fleet.hub.actions.desk import Desk
from fleet.hub.ingest.messages import Message
from fleet.hub.ingest.reading import read_batch
from fleet.hub.ingest.rows import load
from fleet.hub.ingest.service import Ingest, IngestSettings
from fleet.hub.ingest.verify import Rules, decide
from fleet.hub.store import open_store
from fleet.protocol.topics import DELEGATION, WORK, topic_id
from tools.bench.measure import Aim, Row, interleaved

CHAIN_ID = "bench"
FLEET = "home"
DEVICES = 50
RECORDS_EACH = 10
REPEATS = 7
BATCH = 500
NOW_MS = 1_800_000_000_000
BOOT = bytes(16)
HOST_COUNTERS = dict.fromkeys(counters.HOST, 1 << 40)


class Nowhere:
    """Takes receipts and proofs that nobody waits for."""

    def acknowledge(self, messages: object) -> None: ...

    def publish(self, *message: object) -> bool:
        return True

    def committed(self, commitments: object) -> None: ...

    def opened(self, openings: object) -> None: ...


def rows() -> Iterator[Row]:
    devices = [PrivateKey.from_secret("ed25519", bytes([number + 1]) * 32) for number in range(DEVICES)]
    # A warm-up and every repeat take records of their own: the hub accepts none twice.
    rounds = [list(itertools.chain(*batch)) for batch in zip(*(messages(key) for key in devices), strict=True)]
    key = devices[0]
    signed = [key.sign(text) + text for text in (bytes([number % 256]) * 500 for number in range(BATCH))]

    def bare() -> None:
        for message in signed:
            crypto_sign_open(message, key.public.x)

    with tempfile.TemporaryDirectory() as folder, closing(open_store(Path(folder))) as store:
        desk = Desk(store, EventBus(), lambda: NOW_MS)
        settings = IngestSettings(rules=Rules(CHAIN_ID), command_key=key, epoch_at=lambda ms: ms // 3_600_000)
        ingest = Ingest(settings, desk, Nowhere())
        with closing(store.connect()) as connection:
            for device in devices:
                enrol(ingest, connection, device)
            gc.collect()
            gc.freeze()  # as the hub does once it is up
            verified = interleaved(Verifying(settings, connection, rounds[0]), bare, REPEATS)
            stored = interleaved(Storing(ingest, connection, iter(rounds)), bare, REPEATS)
            gc.unfreeze()
    yield row("records: read, verified, decided", *verified, aim=(">=", 0.6))
    yield row("records: the same and stored with fsync", *stored)


def row(name: str, taken: float, limit: float, aim: Aim | None = None) -> Row:
    per_second, bare_per_second = DEVICES * RECORDS_EACH / taken, BATCH / limit
    return Row(name, per_second, "per s and core", "bare Ed25519 verifications per s", bare_per_second, aim)


class Verifying:
    """The pure half of ingest, on the first records of every device."""

    def __init__(self, settings: IngestSettings, connection: sqlite3.Connection, batch: list[Message]) -> None:
        self._settings, self._connection, self._batch = settings, connection, batch

    def __call__(self) -> None:
        batch = read_batch(self._batch)
        decisions = decide(load(self._connection, batch), batch, NOW_MS, self._settings.rules)
        assert not decisions.refusals, decisions.refusals[0]


class Storing:
    """Ingest down to the disk, with new records every time."""

    def __init__(self, ingest: Ingest, connection: sqlite3.Connection, rounds: Iterator[list[Message]]) -> None:
        self._ingest, self._connection, self._rounds = ingest, connection, rounds

    def __call__(self) -> None:
        decisions = self._ingest.process(self._connection, next(self._rounds))
        assert not decisions.refusals, decisions.refusals[0]


def enrol(ingest: Ingest, connection: sqlite3.Connection, key: PrivateKey) -> None:
    device, topic = device_id(key.public), topic_id(device_id(key.public))
    connection.execute(
        "INSERT INTO devices (device, topic_id, fleet, identity_key, enrolled_ms, enrolled_by, owner,"
        " registered_height) VALUES (?,?,?,?,0,'token',?,1)",
        (device, topic, FLEET, key.public.encoded(), device[:20]),
    )
    connection.execute("INSERT INTO certificates VALUES (?,?,0,?,'enrol')", (topic, device, NOW_MS + 1))
    connection.execute("INSERT INTO record_chains VALUES (?,?,0,?,0)", (device, device[:16], bytes(32)))
    body = Delegation(device, record_key(key).public.x, BOOT, NOW_MS - 1, NOW_MS + 86_400_000)
    signed = sign_delegation(body, key, CHAIN_ID)
    assert not ingest.process(connection, [message(device, signed, "delegation")]).refusals


def messages(key: PrivateKey) -> Iterator[list[Message]]:
    """Batch after batch of a device's records, as large as real ones."""
    device = device_id(key.public)
    chain = RecordChain(device, device[:16])
    for _ in range(REPEATS + 1):
        batch = []
        for _ in range(RECORDS_EACH):
            at_ms = NOW_MS + chain.next_seq
            draft = chain.draft(boot=BOOT, from_ms=at_ms, to_ms=at_ms + 1, host=HOST_COUNTERS)
            signed = sign_record(draft, record_key(key), CHAIN_ID)
            opened = open_record(signed)
            chain.advance(opened.record, opened.hash)
            batch.append(message(device, signed, "work"))
        yield batch


def message(device: bytes, payload: bytes, kind: str) -> Message:
    leaf = DELEGATION if kind == "delegation" else WORK
    return Message(leaf.topic(FLEET, topic_id(device)), payload, NOW_MS)


def record_key(key: PrivateKey) -> PrivateKey:
    return PrivateKey.from_secret("ed25519", bytes(byte ^ 0x55 for byte in key.secret))
