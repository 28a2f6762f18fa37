"""The hub's side of the chain as one service: a thread that follows, sends, and keeps what the page shows."""

from __future__ import annotations

import contextlib
import itertools
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

from chain.crypto.keys import PrivateKey
from chain.errors import REGISTRY, DccnError, Faulty, Refused, Unavailable
from chain.light.rpc import RpcClient
from chain.wire import transactions
from chain.wire.cometbft import Header
from chain.wire.kinds import DEVICE_REGISTER, DEVICE_REVOKE
from chain.wire.state import required_fee
from fleet.hub.actions.desk import Desk
from fleet.hub.actions.events import ChainAdvanced
from fleet.hub.chain.challenges import note_challenges
from fleet.hub.chain.clock import ClockWatch, check_behind
from fleet.hub.chain.facts import read_fact
from fleet.hub.chain.follower import RULES, Block, Follower, broadcast_once
from fleet.hub.chain.ledger_view import Books, note_registrations, note_rewards, read_books
from fleet.hub.chain.outbox import OutboxRow
from fleet.hub.chain.rules import ChainRules
from fleet.hub.chain.sender import Sender
from fleet.hub.ports import ChainTrust, ChainView

POLLS_PER_BLOCK: Final = 4
POLL_MIN_S: Final = 0.1
POLL_MAX_S: Final = 1.0
BACKOFF_MAX_S: Final = 15.0
BACKOFF_GROWTH: Final = 1.5
RPC_TIMEOUT_S: Final = 5.0
PROVABLE_AFTER: Final = 2
"""The state after a block can be proven when the next header is there; one more block for the node's index."""
_NAMES: Final = {code.number: name for name, code in REGISTRY.items()}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings:
    """`rpc` are the nodes' addresses, asked in turn when one does not answer; `account` pays and signs.

    Devices are told `device_rpc` instead, if there is any.
    """

    rpc: tuple[str, ...]
    device_rpc: tuple[str, ...] = ()
    home: Path
    account: PrivateKey = field(repr=False)
    address: bytes


class ChainService:
    """`ChainPort`, and the source of blocks for the proofs. Listeners run in the chain's thread and return at once.

    While no node answers, `view().problem` says so and the thread tries again with growing pauses; nothing is lost, as
    what has to be sent waits in the outbox. A machine whose clock is off cannot go on: `on_halt` is told, and it ends.
    """

    def __init__(self, settings: ChainSettings, desk: Desk, now_ns: Callable[[], int]) -> None:
        self._settings = settings
        self._desk = desk
        self._now_ns = now_ns
        self._lock = Lock()
        self._view = ChainView()
        self._trust: ChainTrust | None = None
        self._rules: ChainRules | None = None
        self._readers = itertools.cycle(settings.rpc)
        self._wake = Event()
        self._stopping = Event()
        self.ready = Event()
        self._thread: Thread | None = None
        self._epoch: int | None = None
        self._books = Books()
        self._look_until = 0
        self._healthy = False
        self._watch = ClockWatch()
        self.on_halt: Callable[[DccnError], None] = lambda error: None
        self._on_block: list[Callable[[Block], None]] = []
        self._on_settled: list[Callable[[OutboxRow, int | None, str], None]] = []

    # --- For the HTTP side (any thread) ---

    def trust(self) -> ChainTrust:
        with self._lock:
            if self._trust is None:
                raise Unavailable("unreachable", f"no header of the chain is verified yet; asked {self._settings.rpc}")
            return self._trust

    def view(self) -> ChainView:
        with self._lock:
            return self._view

    def sponsor(self, transaction: bytes) -> bytes:
        """See `ChainPort`. The caller has checked who asks; here: that the fee is no more than it must be."""
        rules = self.rules
        if rules is None:
            raise Unavailable("unreachable", "the chain is not known yet, so nothing can be registered on it")
        read = transactions.decode(transaction)
        if read.type not in (DEVICE_REGISTER, DEVICE_REVOKE):
            raise Refused("tx_unauthorised", f"only registrations and their end are sponsored, not type {read.type}")
        if read.fee > required_fee(len(transaction) + transactions.SIGNATURE_BYTES, rules.parameters):
            raise Refused("tx_unauthorised", f"the registration offers a fee of {read.fee}, more than the chain asks")
        signed = transactions.sponsor(read, self._settings.account, rules.chain_id)
        if not signed.verify(rules.chain_id):
            raise Refused("bad_signature", "the owner's signature on the registration does not verify")
        return self._broadcast_registration(signed.encode(), signed.hash)

    def _broadcast_registration(self, raw: bytes, tx_hash: bytes) -> bytes:
        rpc = RpcClient(self._settings.rpc[0], RPC_TIMEOUT_S)
        try:
            answer = broadcast_once(rpc, raw)
        finally:
            rpc.close()
        if answer is not None and answer.code:
            raise Refused(_NAMES.get(answer.code, "check_failed"), f"the chain refuses the registration: {answer.log}")
        self._wake.set()
        return tx_hash

    # --- For the proofs ---

    @property
    def rules(self) -> ChainRules | None:
        """The chain's parameters, from the last run while no node answers; None before the first contact."""
        with self._lock:
            return self._rules

    def on_block(self, listener: Callable[[Block], None]) -> None:
        """Call with every verified block, in order, after it was noted. Register before `start`."""
        self._on_block.append(listener)

    def on_settled(self, listener: Callable[[OutboxRow, int | None, str], None]) -> None:
        """Call when a transaction of the outbox is in a block, or was given up. Register before `start`."""
        self._on_settled.append(listener)

    def wake(self) -> None:
        """Something was put into the outbox."""
        self._wake.set()

    def reader(self) -> Follower:
        """A follower of its own for another thread, to prove beacons and state with; call `open` on it first.

        Each one asks the next of the nodes, so that whoever asks for another after a failure comes to one that answers.
        """
        rpc = RpcClient(next(self._readers), RPC_TIMEOUT_S)
        return Follower(rpc, self._settings.home, self._now_ns, remember=False)

    # --- The thread ---

    def start(self) -> None:
        with contextlib.closing(self._desk.store.connect()) as connection:
            known = read_fact(connection, RULES)
        if known is not None:
            self._rules = ChainRules.from_json(known)
            self.ready.set()
        self._thread = Thread(target=self._run, name="chain", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)

    def _run(self) -> None:
        pause_s, turn = POLL_MIN_S, 0
        with contextlib.closing(self._desk.store.connect()) as connection:
            while not self._stopping.is_set():
                url = self._settings.rpc[turn % len(self._settings.rpc)]
                try:
                    self._follow_in_time(connection, url)
                except Faulty as error:
                    self._note_problem(error.message)
                    if error.code == "clock_off":
                        self.on_halt(error)
                        return
                except DccnError as error:
                    self._note_problem(error.message)
                except sqlite3.Error as error:
                    self._note_problem(f"the hub's database cannot be written: {error}")
                except Exception as error:
                    _log.exception("following the chain failed")
                    self._note_problem(f"following the chain failed: {error!r}")
                turn += 1
                pause_s = POLL_MIN_S if self._healthy else min(BACKOFF_MAX_S, pause_s * BACKOFF_GROWTH)
                self._healthy = False
                self._stopping.wait(pause_s)

    def _follow_in_time(self, connection: sqlite3.Connection, url: str) -> None:
        """Follow; Faulty `clock_off` when headers are from the future because this machine's clock is behind."""
        try:
            self._follow(connection, url)
        except Refused as error:
            if error.code == "light_invalid":
                check_behind(url, self._settings.home, self._now_ns, connection)
            raise

    def _follow(self, connection: sqlite3.Connection, url: str) -> None:
        """Follow one node until it fails or we stop."""
        rpc = RpcClient(url, RPC_TIMEOUT_S)
        follower = Follower(rpc, self._settings.home, self._now_ns)
        sender = Sender(self._settings.account, follower, self._desk.now_ms, self._settled)
        try:
            follower.open(connection)
            with self._lock:
                self._rules = follower.rules
            self.ready.set()
            while not self._stopping.is_set():
                self._wake.clear()
                blocks = follower.advance(connection)
                self._take(connection, follower, sender, blocks)
                if follower.newest is not None and follower.rules is not None:
                    self._check_ahead(follower, follower.newest, follower.rules)
                    sender.step(connection, follower.rules, follower.newest.height)
                    self._note_view(follower, sender.problem)
                self._healthy = True
                self._wake.wait(self._poll_s())
        finally:
            rpc.close()

    def _check_ahead(self, follower: Follower, newest: Header, rules: ChainRules) -> None:
        self._watch.look(
            newest.height,
            newest.time_ns // 1_000_000,
            self._desk.now_ms(),
            max(rules.parameters["block_interval_ms"], rules.parameters["empty_block_interval_ms"]),
            catching_up=follower.catching_up,
        )

    def _take(self, connection: sqlite3.Connection, follower: Follower, sender: Sender, blocks: list[Block]) -> None:
        for block in blocks:
            sender.note_block(connection, block.height, block.transactions)
            if follower.rules is not None:
                note_challenges(connection, block, self._settings.address, follower.rules)
            follower.commit(connection, block.height)
            for listener in self._on_block:
                listener(block)
            if any(_changes_devices(raw) for raw in block.transactions):
                self._look_until = block.height + PROVABLE_AFTER
        if blocks and follower.rules is not None:
            self._read_ledger(connection, follower, follower.rules.epoch_at(blocks[-1].time_ms), blocks[-1].height)

    def _read_ledger(self, connection: sqlite3.Connection, follower: Follower, epoch: int, height: int) -> None:
        """After a boundary and after a registration, until what they changed can be proven."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._look_until = height + PROVABLE_AFTER
        if height <= self._look_until:
            note_registrations(self._desk, connection, follower.state)
            note_rewards(self._desk, connection, follower.state)
            self._books = read_books(follower.state, self._settings.address)
        supply = self._books.supply
        self._desk.bus.publish(
            ChainAdvanced(at_ms=self._desk.now_ms(), height=height, reward_epoch=epoch, supply=supply)
        )

    def _note_view(self, follower: Follower, problem: str | None) -> None:
        header, rules = follower.newest, follower.rules
        assert header is not None and rules is not None
        time_ms = header.time_ns // 1_000_000
        view = ChainView(
            chain_id=rules.chain_id,
            height=header.height,
            block_time_ms=time_ms,
            reward_epoch=rules.epoch_at(time_ms),
            supply=self._books.supply,
            validators=follower.validators,
            hub_balance=self._books.hub_balance,
            problem=problem,
        )
        trust = ChainTrust(
            chain_id=rules.chain_id,
            genesis_hash=bytes.fromhex(rules.genesis_hash),
            trusted_height=header.height,
            trusted_hash=header.hash(),
            rpc=self._settings.device_rpc or self._settings.rpc,
            transaction_fee=rules.parameters["transaction_fee_atto"],
        )
        with self._lock:
            self._view, self._trust = view, trust

    def _note_problem(self, problem: str) -> None:
        with self._lock:
            if self._view.problem != problem:
                _log.warning("chain: %s", problem)
            self._view = replace(self._view, problem=problem)

    def _settled(self, row: OutboxRow, height: int | None, code: str) -> None:
        for listener in self._on_settled:
            listener(row, height, code)

    def _poll_s(self) -> float:
        rules = self.rules
        interval_ms = 1_000 if rules is None else rules.parameters["block_interval_ms"]
        return min(POLL_MAX_S, max(POLL_MIN_S, interval_ms / 1_000 / POLLS_PER_BLOCK))


def _changes_devices(raw: bytes) -> bool:
    try:
        return not transactions.is_beacon_tx(raw) and transactions.decode(raw).type in (DEVICE_REGISTER, DEVICE_REVOKE)
    except DccnError:
        return False
