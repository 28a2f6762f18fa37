"""The gate: finds out what is known of a peer, lets it decide, and counts what the peer does then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.errors import Faulty, Malformed
from chain.gateway.admission.bans import Bans
from chain.gateway.admission.counting import Rates, Scores
from chain.gateway.admission.decision import (
    Admission,
    Listing,
    Sends,
    TurnedAway,
    admit,
    check_send,
    screen,
)
from chain.gateway.admission.lists import ListFile
from chain.gateway.admission.peer import Peer
from chain.gateway.admission.policy import Fault, Policy
from chain.gateway.admission.registry import DeviceRegistry
from chain.gateway.chain import Chain
from chain.wire.transactions import Transaction, decode

ALLOW_FILE: Final = "allow.txt"
DENY_FILE: Final = "deny.txt"
BANS_FILE: Final = "bans.json"

_UNREADABLE = frozenset({400, 405, 413})
_log = logging.getLogger(__name__)


class Gate:
    """Belongs to one event loop. Lists and bans are in `home`."""

    def __init__(
        self,
        chain: Chain,
        home: Path,
        policy: Policy,
        now_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """Raises Faulty `home_invalid` for a list or bans that cannot be read."""
        self._policy = policy
        self._allow = ListFile(home / ALLOW_FILE, now_s)
        self._deny = ListFile(home / DENY_FILE, now_s)
        self._bans = Bans(home / BANS_FILE, wall_s)
        self._devices = DeviceRegistry(chain, now_s)
        self._rates = Rates(now_s)
        self._scores = Scores(policy.half_life_s, now_s)

    async def enter(self, peer: Peer) -> Visit:
        """Raises TurnedAway, and what the chain raises when it must be asked about the peer's device."""
        allow = self._allow.current()
        listing = Listing(
            denied=peer in self._deny.current(),
            allowed=peer in allow if allow else None,
            banned_s=self._bans.left_s(peer.name),
        )
        screen(peer, listing, self._policy)
        standing = None if peer.device is None else await self._devices.standing(peer.device)
        visit = Visit(self, peer, admit(peer, standing, listing, self._policy))
        visit.charge(1)
        return visit

    def charge(self, peer: Peer, admission: Admission, requests: int) -> None:
        """Raises TurnedAway `peer_over_rate`."""
        if admission.per_minute is None:
            return
        wait_s = self._rates.take(peer.name, admission.per_minute, requests)
        if wait_s:
            self.blame(peer, Fault.OVER_RATE)
            raise TurnedAway("peer_over_rate", f"{peer.name} has {admission.per_minute} requests a minute", wait_s)

    def blame(self, peer: Peer, fault: Fault) -> None:
        """Count a fault, and ban who has too many. Programs of this machine are nobody's enemies."""
        if peer.local or self._scores.add(peer.name, self._policy.points(fault)) < self._policy.ban_score:
            return
        self._scores.forget(peer.name)
        try:
            self._bans.put(peer.name, self._policy.ban_s, f"too many faults, the last: {fault.value}")
        except Faulty as error:
            _log.error("%s; %s is not banned", error, peer.name)
        else:
            _log.warning("banned %s for %d s, the last fault: %s", peer.name, self._policy.ban_s, fault.value)


@dataclass(slots=True)
class Visit:
    """One request of an admitted peer."""

    gate: Gate
    peer: Peer
    admission: Admission
    blamed: bool = False

    def charge(self, requests: int) -> None:
        """Count more requests against the rate; raises TurnedAway `peer_over_rate`."""
        self.gate.charge(self.peer, self.admission, requests)

    def check_send(self, transaction: Transaction) -> None:
        """Raises TurnedAway `peer_read_only` for a transaction that the peer may not send."""
        check_send(self.peer, self.admission, transaction)

    def check_send_bytes(self, transaction: bytes) -> None:
        """The same for bytes; what cannot be read is nobody's registration."""
        if self.admission.sends is Sends.ANYTHING:
            return
        try:
            self.check_send(decode(transaction))
        except Malformed as error:
            raise TurnedAway("peer_read_only", f"{self.peer.name} sends what cannot be read: {error.message}") from None

    def refused_transaction(self) -> None:
        self.blamed = True
        self.gate.blame(self.peer, Fault.REFUSED_TRANSACTION)

    def leave(self, status: int) -> None:
        """The answer's HTTP status; what was blamed already is not blamed twice."""
        if status in _UNREADABLE and not self.blamed:
            self.gate.blame(self.peer, Fault.BAD_REQUEST)
