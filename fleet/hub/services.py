"""Ingest, proofs and the chain as the one thing that the hub's program starts and stops."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Thread
from typing import Final

from chain.errors import DccnError, Unavailable
from fleet.hub.actions.desk import Desk
from fleet.hub.broker.endpoint import BrokerEndpoint
from fleet.hub.chain.follower import Block
from fleet.hub.chain.rules import ChainRules
from fleet.hub.chain.service import ChainService, ChainSettings
from fleet.hub.commander import Commander
from fleet.hub.identity.membership import Identity
from fleet.hub.ingest.link import BrokerLink, LinkSettings
from fleet.hub.ingest.service import Ingest, IngestSettings
from fleet.hub.ingest.signatures import pooled
from fleet.hub.ingest.verify import Rules
from fleet.hub.ports import Inclusion
from fleet.hub.proofs.service import ProofService, ProofSettings
from fleet.hub.settings import Settings
from fleet.protocol.topics import Leaf

VERIFIERS: Final = 2
"""Threads that check signatures; libsodium lets go of the interpreter meanwhile."""


class HubServices:
    """The chain comes first: without its name no signature can be checked. So ingest and proofs start once it is known,
    which after the first run is at once, whether a node answers or not.
    """

    def __init__(self, desk: Desk, identity: Identity, endpoint: BrokerEndpoint, settings: Settings) -> None:
        self._desk = desk
        self._identity = identity
        self._endpoint = endpoint
        self._settings = settings
        keys = identity.keys
        chain_settings = ChainSettings(
            rpc=settings.rpc,
            device_rpc=settings.device_rpc,
            home=settings.home,
            account=keys.account,
            address=keys.address,
        )
        self.chain = ChainService(chain_settings, desk, time.time_ns)
        self.chain.on_block(self._note_block)
        self.chain.on_halt = lambda error: self.on_halt(error)
        self.on_halt: Callable[[DccnError], None] = lambda error: None
        self._pool = ThreadPoolExecutor(VERIFIERS, "verify")
        self._stopping = Event()
        self._lock = Lock()
        self._parts: tuple[Ingest, ProofService, BrokerLink, Commander] | None = None
        self._starter = Thread(target=self._start_parts, name="services", daemon=True)

    @property
    def proofs(self) -> HubServices:
        return self

    def inclusion(self, device: str, chain: bytes, seq: int) -> Inclusion | None:
        """See `ProofPort`; nothing is included before the chain is known."""
        return None if self._parts is None else self._parts[1].inclusion(device, chain, seq)

    @property
    def commands(self) -> HubServices:
        return self

    def send(self, leaf: Leaf, device: bytes, kind: str, body: object, valid_ms: int) -> bool:
        """See `CommandPort`: a command names the chain, so there is none before the chain is known."""
        if self._parts is None:
            raise Unavailable("unreachable", f"sending the command {kind!r}: the hub does not know its chain yet")
        return self._parts[3].send(leaf, device, kind, body, valid_ms)

    def start(self) -> None:
        self.chain.start()
        self._starter.start()

    def stop(self) -> None:
        """The link goes first, so that nothing comes that nobody would acknowledge."""
        self._stopping.set()
        with self._lock:
            parts = self._parts
        if parts is not None:
            ingest, proofs, link, _ = parts
            link.stop()
            ingest.stop()
            proofs.stop()
        self.chain.stop()
        self._pool.shutdown(wait=False)

    def _start_parts(self) -> None:
        while not self.chain.ready.wait(0.1):
            if self._stopping.is_set():
                return
        rules = self.chain.rules
        assert rules is not None
        with self._lock:
            if not self._stopping.is_set():
                self._parts = self._make(rules)

    def _make(self, rules: ChainRules) -> tuple[Ingest, ProofService, BrokerLink, Commander]:
        keys, desk, endpoint = self._identity.keys, self._desk, self._endpoint
        proof_settings = ProofSettings(
            fleet=self._settings.fleet,
            account=keys.account,
            hub=keys.address,
            profile=self._settings.pog_profile,
        )
        link_settings = LinkSettings(
            host=endpoint.host, port=endpoint.port, ca=endpoint.ca, certificate=endpoint.certificate, key=endpoint.key
        )
        link = BrokerLink(link_settings, lambda message: ingest.deliver(message), desk.now_ms)
        commander = Commander(link, keys.command, self._settings.fleet, rules.chain_id, desk.now_ms)
        proofs = ProofService(proof_settings, desk, rules, commander, self.chain.reader, self.chain.wake)
        ingest_settings = IngestSettings(rules=Rules(rules.chain_id), command_key=keys.command, epoch_at=rules.epoch_at)
        ingest = Ingest(ingest_settings, desk, proofs, pooled(self._pool, VERIFIERS))
        ingest.start(link)
        proofs.start()
        link.start()
        return ingest, proofs, link, commander

    def _note_block(self, block: Block) -> None:
        if self._parts is not None:
            self._parts[1].note_block(block)
