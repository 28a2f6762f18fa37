"""The numbers of admission: what strangers may do, how often who may ask, and when misbehaviour ends in a ban."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Strangers(Enum):
    """What a peer from another machine may do without a certificate."""

    REFUSE = "refuse"
    READ = "read"
    SEND = "send"


class Fault(Enum):
    """What counts against a peer."""

    BAD_REQUEST = "a request that cannot be read"
    REFUSED_TRANSACTION = "a transaction that the chain refuses"
    OVER_RATE = "a request over its rate"


@dataclass(frozen=True, slots=True)
class Policy:
    """Rates are requests per minute, of which a whole minute's may come at once. A score halves every `half_life_s`."""

    strangers: Strangers = Strangers.REFUSE
    stranger_per_minute: int = 60
    unregistered_per_minute: int = 60
    registered_per_minute: int = 1_200
    ban_score: float = 100.0
    ban_s: int = 3_600
    half_life_s: int = 600
    bad_request_points: float = 2.0
    refused_transaction_points: float = 5.0
    over_rate_points: float = 1.0

    def points(self, fault: Fault) -> float:
        return {
            Fault.BAD_REQUEST: self.bad_request_points,
            Fault.REFUSED_TRANSACTION: self.refused_transaction_points,
            Fault.OVER_RATE: self.over_rate_points,
        }[fault]


DEFAULT_POLICY = Policy()
