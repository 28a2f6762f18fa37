"""The order of a device's records: no gap, no repeat, each holding the hash of its predecessor."""

from __future__ import annotations

from dataclasses import dataclass

from chain.errors import Refused
from chain.proofs.counters import Counters
from chain.proofs.records import FIRST_PREVIOUS, Answer, Gpu, Load, Record


@dataclass(slots=True)
class RecordChain:
    """One (device, chain), counted alike by the device that writes it and the hub that reads it.

    `next_seq` and `head` (SHA-256 of the last record's payload, zero before the first) are all that must be kept.
    """

    device: bytes
    chain: bytes
    next_seq: int = 0
    head: bytes = FIRST_PREVIOUS

    def draft(
        self,
        *,
        boot: bytes,
        from_ms: int,
        to_ms: int,
        host: Counters,
        gpus: tuple[Gpu, ...] = (),
        loads: tuple[Load, ...] = (),
        answers: tuple[Answer, ...] = (),
    ) -> Record:
        """The next record; `advance` comes after it is stored, so that no seq is ever signed twice."""
        return Record(
            self.device, self.chain, self.next_seq, self.head, boot, from_ms, to_ms, host, gpus, loads, answers
        )

    def check(self, record: Record) -> None:
        """Refused unless `record` is the next one.

        record_foreign: another device or chain. record_replay: a seq that was passed (compare the hashes: a different
        record under it is a contradiction). record_gap: a seq too far ahead. record_broken_chain: prev is wrong.
        """
        if (record.device, record.chain) != (self.device, self.chain):
            raise Refused("record_foreign", f"the record belongs to chain {record.chain.hex()}, not {self.chain.hex()}")
        if record.seq < self.next_seq:
            raise Refused("record_replay", f"record {record.seq} was accepted, the next is {self.next_seq}")
        if record.seq > self.next_seq:
            raise Refused("record_gap", f"record {record.seq} came while {self.next_seq} is missing")
        if record.previous != self.head:
            raise Refused("record_broken_chain", f"prev of record {record.seq} is not the hash of its predecessor")

    def advance(self, record: Record, record_hash: bytes) -> None:
        """Check, then make `record` the head."""
        self.check(record)
        self.next_seq += 1
        self.head = record_hash
