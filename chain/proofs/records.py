"""Work records: what a device did in one interval, signed and chained (proofs.md, work records)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from chain.crypto.keys import PrivateKey, PublicKey
from chain.errors import Malformed
from chain.proofs import counters
from chain.proofs.counters import Counters
from chain.proofs.key_ids import record_key_id
from chain.wire import cbor, cose
from chain.wire.fields import Fields

RECORD_TAG = "dccn/record/v1"

RECORD_MAX_BYTES = 32 * 1024
GPUS_MAX = 32
LOADS_MAX = 128
ANSWERS_MAX = 64
TEXT_MAX_BYTES = 160
INTERVAL_MAX_MS = 24 * 3_600_000
FIRST_PREVIOUS = bytes(32)

_LOAD_KEYS = ("lease", "image_digest", "cpu_ns", "gpu_ms", "rss", "tx", "rx", "state")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU's counters; in CBOR one map `{"uuid": …, counter: value, …}`."""

    uuid: str
    counters: Counters


@dataclass(frozen=True, slots=True)
class Load:
    """One leased workload's use; units in `counters.LOAD`. `state` is the workload's own word, such as "running"."""

    lease: str
    image_digest: str
    cpu_ns: int | None
    gpu_ms: int | None
    rss: int | None
    tx: int | None
    rx: int | None
    state: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A challenge that was answered within the interval: `kind` is "pog", `root` what was committed (32 bytes)."""

    height: int
    kind: str
    root: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """`["rec1", device, chain, seq, prev, boot, from_ms, to_ms, host, gpus, loads, answers]`.

    `device` and `previous` are 32 bytes, `chain` and `boot` 16. Times are milliseconds since the Unix epoch.
    """

    device: bytes
    chain: bytes
    seq: int
    previous: bytes
    boot: bytes
    from_ms: int
    to_ms: int
    host: Counters
    gpus: tuple[Gpu, ...] = ()
    loads: tuple[Load, ...] = ()
    answers: tuple[Answer, ...] = ()

    def payload(self) -> bytes:
        """The canonical bytes that are signed and hashed."""
        gpus = [{"uuid": gpu.uuid, **gpu.counters} for gpu in self.gpus]
        loads = [{key: getattr(load, key) for key in _LOAD_KEYS} for load in self.loads]
        answers = [[answer.height, answer.kind, answer.root] for answer in self.answers]
        head = ["rec1", self.device, self.chain, self.seq, self.previous, self.boot, self.from_ms, self.to_ms]
        return cbor.encode([*head, dict(self.host), gpus, loads, answers])

    @classmethod
    def from_list(cls, body: object) -> Record:
        """Malformed `malformed` for anything that is not a record within the limits of this module."""
        f = Fields(body, "rec1", 12)
        record = cls(
            device=f.octets(1, 32),
            chain=f.octets(2, 16),
            seq=f.integer(3),
            previous=f.octets(4, 32),
            boot=f.octets(5, 16),
            from_ms=f.integer(6),
            to_ms=f.integer(7),
            host=counters.check_readable(f.any(8)),
            gpus=tuple([_gpu(item) for item in f.array(9, GPUS_MAX)]),
            loads=tuple([_load(item) for item in f.array(10, LOADS_MAX)]),
            answers=tuple([_answer(item) for item in f.array(11, ANSWERS_MAX)]),
        )
        if not 0 <= record.to_ms - record.from_ms <= INTERVAL_MAX_MS:
            raise Malformed("malformed", f"from {record.from_ms} to {record.to_ms} is no interval of up to a day")
        if record.seq == 0 and record.previous != FIRST_PREVIOUS:
            raise Malformed("malformed", "the first record of a chain has 32 zero bytes for prev")
        return record


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A record as it came: parsed, its signature not checked until `verify` says so."""

    record: Record
    hash: bytes
    envelope: cose.Envelope = field(repr=False)

    @property
    def raw(self) -> bytes:
        """The whole COSE_Sign1: a batch's leaf."""
        return self.envelope.raw

    def verify(self, record_public: bytes, chain_id: str) -> bool:
        """Whether the record key (32 bytes) signed this; whether that key is the device's, the delegation says."""
        return self.envelope.kid == record_key_id(record_public) and self.envelope.verify(
            PublicKey.from_ed25519(record_public), RECORD_TAG, chain_id
        )


def sign_record(record: Record, record_key: PrivateKey, chain_id: str) -> bytes:
    """The record's COSE_Sign1. Malformed when it breaks a limit or uses a counter that is not registered."""
    counters.check_registered(record.host, counters.HOST)
    for gpu in record.gpus:
        counters.check_registered(gpu.counters, counters.GPU)
    payload = record.payload()
    Record.from_list(cbor.decode(payload, limit=RECORD_MAX_BYTES))
    signed = cose.sign(record_key, record_key_id(record_key.public.x), payload, RECORD_TAG, chain_id)
    if len(signed) > RECORD_MAX_BYTES:
        raise Malformed("too_large", f"a record of {len(signed)} bytes, the limit is {RECORD_MAX_BYTES}")
    return signed


def open_record(data: bytes) -> SignedRecord:
    """Parse a record's COSE_Sign1; raises `too_large`, `malformed` or `non_canonical`."""
    envelope = cose.open_envelope(data, RECORD_MAX_BYTES)
    return SignedRecord(Record.from_list(envelope.body), sha256(envelope.payload).digest(), envelope)


def is_contradiction(first: SignedRecord, second: SignedRecord) -> bool:
    """Whether two records, both with good signatures, say different things under one (device, chain, seq)."""
    a, b = first.record, second.record
    return (a.device, a.chain, a.seq) == (b.device, b.chain, b.seq) and first.hash != second.hash


def _gpu(item: object) -> Gpu:
    if not isinstance(item, dict) or type(item.get("uuid")) is not str or len(item["uuid"].encode()) > TEXT_MAX_BYTES:
        raise Malformed("malformed", 'a GPU of a record is a map with "uuid" and counters')
    return Gpu(item["uuid"], counters.check_readable({key: value for key, value in item.items() if key != "uuid"}))


def _load(item: object) -> Load:
    if not isinstance(item, dict) or item.keys() != set(_LOAD_KEYS):
        raise Malformed("malformed", f"a load of a record is a map of {', '.join(_LOAD_KEYS)}")
    _check_texts(item, ("lease", "image_digest", "state"))
    counters.check_readable({name: item[name] for name in counters.LOAD})
    return Load(**item)


def _check_texts(item: Mapping[str, object], keys: tuple[str, ...]) -> None:
    for key in keys:
        value = item[key]
        if type(value) is not str or len(value.encode()) > TEXT_MAX_BYTES:
            raise Malformed("malformed", f"{key} of a load is a text of at most {TEXT_MAX_BYTES} bytes")


def _answer(item: object) -> Answer:
    fields = Fields(item, None, 3)
    return Answer(fields.integer(0, 1), fields.text(1, 16), fields.octets(2, 32))
