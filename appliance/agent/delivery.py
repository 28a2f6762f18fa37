"""Brings the spool to the hub: delegations first, records in order, few under way at once, again until received."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from appliance.agent.clock import Clock
from appliance.agent.events import Emit
from appliance.agent.spool import Spool, Waiting
from chain.crypto.keys import PublicKey
from chain.errors import Refused
from chain.proofs.receipts import Receipt, open_receipt
from fleet.protocol.limits import RECEIVE_MAXIMUM

IDLE_POLL_S = 1.0
HEARING_S = 5.0
"""How long a statement of a record key waits until the hub's queue has the key's delegation."""

Key = tuple[bytes, int]
"""(chain, seq) of a record."""


class Delivery:
    """Component. Inputs: the spool, receipts, `connected`. Outputs: `publish_delegation`, `publish_work`.

    QoS 1 ends at the broker, so a record counts as under way until the hub's receipt covers it; at most
    RECEIVE_MAXIMUM are. Without a receipt for `receipt_timeout_s`, or when the broker found no hub to give them to, all
    that are under way are sent again. Nothing that a record key signed goes out before the broker had a hub to give the
    key's delegation to: a hub that came back between the two would refuse it.
    Nothing is sent while `may_send` says no: the device is not registered yet.
    """

    name = "delivery"

    def __init__(
        self,
        *,
        spool: Spool,
        device: bytes,
        chain_id: str,
        command_key: Callable[[], PublicKey],
        publish_delegation: Callable[[bytes, Callable[[], None]], bool],
        publish_work: Callable[[Waiting], bool],
        clock: Clock,
        emit: Emit,
        receipt_timeout_s: float,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        self._spool = spool
        self._device = device
        self._chain_id = chain_id
        self._command_key = command_key
        self._publish_delegation = publish_delegation
        self._publish_work = publish_work
        self._clock = clock
        self._emit = emit
        self._receipt_timeout_s = receipt_timeout_s
        self._may_send = may_send
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_unheard = threading.Event()
        self._under_way: dict[Key, float] = {}
        self._cursor: Key | None = None
        self._delegations_sent: set[bytes] = set()
        self._delegations_heard: set[bytes] = set()
        self._is_heard = threading.Event()
        self.last_receipt: Receipt | None = None
        self.is_rolled_back = False

    def wake(self) -> None:
        """There is something new to send."""
        self._wake.set()

    def restart(self) -> None:
        """A new connection: what was under way may be lost, and the hub may be another process."""
        with self._lock:
            self._forget_sent()
        self.wake()

    def unheard(self) -> None:
        """The broker had no hub to give our messages to: what was under way is lost, and is sent again soon.

        Takes no lock, since the connection's thread calls it while another one may be publishing.
        """
        self._is_unheard.set()

    def send_delegations(self) -> bool:
        """Tell the hub which record keys speak for this device; False when it has not heard all within HEARING_S.

        For what is signed by a record key outside records, which may come before the key's first record.
        """
        until_s = self._clock.monotonic_s() + HEARING_S
        while True:
            self._is_heard.clear()
            with self._lock:
                if self._send_delegations():
                    return True
            if not self._is_heard.wait(until_s - self._clock.monotonic_s()):
                return False

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.send()
            self._wake.wait(IDLE_POLL_S)
            self._wake.clear()

    def send(self) -> int:
        """Publish what may be published now; returns the number of records."""
        if not self._may_send():
            return 0
        with self._lock:
            self._repeat_overdue()
            room = RECEIVE_MAXIMUM - len(self._under_way)
            records = self._spool.waiting(after=self._cursor, limit=room) if room > 0 else []
            if not self._send_delegations():  # read after the records, so that theirs are among them
                return 0
            for sent, record in enumerate(records):
                if not self._publish_work(record):
                    return sent
                self._cursor = (record.chain, record.seq)
                self._under_way[self._cursor] = self._clock.monotonic_s()
            return len(records)

    def receive(self, envelope: bytes) -> None:
        """A receipt came. Raises Malformed or Refused `bad_signature` for one that is not the hub's."""
        receipt = open_receipt(envelope, self._command_key(), self._chain_id)
        if receipt.device != self._device:
            raise Refused("record_foreign", "the receipt is for another device")
        if receipt.upto_seq is not None:
            self._accept(receipt, receipt.upto_seq, envelope)
        self._resend(receipt)
        self.wake()

    def _accept(self, receipt: Receipt, upto_seq: int, envelope: bytes) -> None:
        try:
            accepted = self._spool.acknowledge(receipt.chain, upto_seq, receipt.head_hash, envelope)
        except Refused as refusal:
            if refusal.code == "record_gap":
                self._note_roll_back(receipt.chain, upto_seq)
            raise
        with self._lock:
            covered = [key for key in self._under_way if key[0] == receipt.chain and key[1] <= upto_seq]
            for key in covered:
                del self._under_way[key]
        self.last_receipt = receipt
        if accepted:
            self._emit("record_accepted", seq=upto_seq, count=accepted, hub_time_ms=receipt.time_ms)

    def _resend(self, receipt: Receipt) -> None:
        """The hub names numbers that it misses although later ones came."""
        for seq in receipt.missing[:RECEIVE_MAXIMUM]:
            record = self._spool.record(receipt.chain, seq)
            if record is not None and self._publish_work(record):
                with self._lock:
                    self._under_way[(record.chain, record.seq)] = self._clock.monotonic_s()

    def _repeat_overdue(self) -> None:
        if self._is_unheard.is_set():
            self._is_unheard.clear()
            self._forget_sent()
        if self._under_way:
            oldest_s = min(self._under_way.values())
            if self._clock.monotonic_s() - oldest_s > self._receipt_timeout_s:
                self._forget_sent()

    def _forget_sent(self) -> None:
        self._under_way.clear()
        self._cursor = None
        self._delegations_sent.clear()
        self._delegations_heard.clear()

    def _send_delegations(self) -> bool:
        """Send those that were not sent; whether the hub's queue has all."""
        envelopes = self._spool.delegations()
        for envelope in envelopes:
            if envelope not in self._delegations_sent:
                if not self._publish_delegation(envelope, partial(self._hear, envelope)):
                    return False
                self._delegations_sent.add(envelope)
        return self._delegations_heard.issuperset(envelopes)

    def _hear(self, envelope: bytes) -> None:
        """Takes no lock, as `unheard`."""
        self._delegations_heard.add(envelope)
        self._is_heard.set()
        self.wake()

    def _note_roll_back(self, chain: bytes, upto_seq: int) -> None:
        head = self._spool.head()
        if not self.is_rolled_back and head is not None and head.chain == chain:
            self.is_rolled_back = True
            self._emit("chain_rolled_back", hub_seq=upto_seq, own_seq=head.next_seq - 1)
