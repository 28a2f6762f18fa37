"""Where an operator stands on its way to a seat: what it has, what it lacks, when it can be drawn at the earliest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain.ledger.elections import first_election, obstacles
from chain.ledger.parameters import Parameters
from chain.ledger.service_levels import newcomer
from chain.wallet.client import ChainClient
from chain.wire.amounts import format_ankr
from chain.wire.operators import Operator, Seat
from chain.wire.state import Clock, ServiceLevel


@dataclass(frozen=True, slots=True)
class Standing:
    """One operator against the chain's rules; every value is proven, `height` is the oldest proof's.

    `obstacles` are the words of `elections.obstacles`; `first_epoch` is the election epoch in which the first seat is
    possible, and `first_epoch_ns` when it begins.
    """

    address: bytes
    operator: Operator
    level: ServiceLevel
    seats: tuple[Seat, ...]
    obstacles: tuple[str, ...]
    election_epoch: int
    first_epoch: int
    first_epoch_ns: int
    parameters: Parameters
    height: int

    def next_steps(self) -> list[str]:
        """What to do about each obstacle, as sentences for the operator."""
        return [self._advice(word) for word in self.obstacles]

    def _advice(self, word: str) -> str:
        p = self.parameters
        match word:
            case "tombstoned":
                return "it signed twice at one height and never produces blocks again: unbond, and begin with new keys"
            case "jailed":
                return "it is jailed: dccn validator unjail, once jailed_until is past"
            case "bond":
                lacking = p.min_bond_atto - self.operator.bond_atto
                return f"{format_ankr(lacking)} ANKR more must be bonded: dccn node bond"
            case "keys":
                return "it has no keys: dccn validator add-key"
            case "age":
                return f"it bonded in election epoch {self.operator.registered_epoch}; waiting is all there is to do"
            case "service_level":
                have, need = self.level.proven_level, p.min_service_level
                return f"its service level is {have} of {need}: let machines prove work for its account"
            case _:
                have, need = self.level.proven_quality, p.min_quality
                return f"its quality is {have} of {need} millionths: keep its machines reporting and proving"


def standing(client: ChainClient, address: bytes) -> Standing | None:
    """None for an account that never bonded."""
    found = client.operator(address)
    if found.value is None:
        return None
    level, seats = client.service_level(address), client.seats()
    named, clock = client.parameters(), client.clock()
    parameters = Parameters(**named.value)
    return judge(
        address,
        found.value,
        level.value or newcomer(parameters),
        seats.value,
        clock.value,
        parameters,
        height=min(each.height for each in (found, level, seats, named, clock)),
    )


def judge(
    address: bytes,
    operator: Operator,
    level: ServiceLevel,
    seats: Sequence[Seat],
    clock: Clock,
    parameters: Parameters,
    *,
    height: int,
) -> Standing:
    """Pure: the same numbers that the ledger looks at when it freezes the candidates at the end of this epoch."""
    epoch = max(0, clock.election_epoch)
    first = first_election(operator.registered_epoch, parameters)
    return Standing(
        address,
        operator,
        level,
        tuple(seat for seat in seats if seat.operator == address),
        obstacles(operator, level, epoch, parameters),
        epoch,
        first,
        clock.genesis_time_ns + first * parameters.election_epoch_s * 10**9,
        parameters,
        height,
    )
