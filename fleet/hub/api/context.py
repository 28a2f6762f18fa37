"""What the handlers of both HTTP servers work with."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.hub.actions.desk import Desk
from fleet.hub.api.board import Board
from fleet.hub.attestation.challenges import Challenges
from fleet.hub.identity.membership import Identity
from fleet.hub.ports import ChainPort, CommandPort, ProofPort
from fleet.hub.settings import Ports, Settings


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub, as a request sees it. `broker` is (host, port) as devices are told."""

    settings: Settings
    ports: Ports
    desk: Desk
    identity: Identity
    chain: ChainPort
    proofs: ProofPort
    commands: CommandPort
    board: Board
    attestation: Challenges
    broker: tuple[str, int]

    @property
    def device_url(self) -> str:
        """Where devices enrol."""
        host = self.settings.public_host
        return f"https://{f'[{host}]' if ':' in host else host}:{self.ports.devices}"
