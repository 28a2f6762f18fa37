"""What the hub has to know of a chain before it can work for it: name, genesis, parameters and their epochs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Final

from chain.errors import Malformed
from chain.wire import cbor
from chain.wire.rfc3339 import parse_time
from chain.wire.state import reward_epoch_at

GENESIS_TAG: Final = "dccn/genesis/v1"
_MS_NS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ChainRules:
    """`parameters` are the chain's, by name (units in the names), as its state proved them; `genesis_hash` is hex."""

    chain_id: str
    genesis_hash: str
    genesis_time_ns: int
    parameters: Mapping[str, int]

    @property
    def reward_epoch_ms(self) -> int:
        return self.parameters["reward_epoch_s"] * 1_000

    @property
    def pog_period_ms(self) -> int:
        return self.parameters["pog_period_epochs"] * self.reward_epoch_ms

    @property
    def pog_window_ms(self) -> int:
        return self.parameters["pog_window_s"] * 1_000

    @property
    def record_interval_ms(self) -> int:
        return self.parameters["record_interval_ms"]

    def epoch_at(self, time_ms: int) -> int:
        """The reward epoch of a time in milliseconds since 1970."""
        return reward_epoch_at(time_ms * _MS_NS, self.genesis_time_ns, self.parameters["reward_epoch_s"])

    def epoch_start_ms(self, reward_epoch: int) -> int:
        """The first millisecond of a reward epoch, rounded up."""
        return -(-self.genesis_time_ns // _MS_NS) + reward_epoch * self.reward_epoch_ms

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ChainRules:
        return cls(**json.loads(text))


def genesis_identity(document: Mapping[str, Any]) -> tuple[str, int, bytes]:
    """(chain id, genesis time in ns, genesis hash) of a genesis document: what a hub and its devices pin.

    The hash is SHA-256 of canonical CBOR ["dccn/genesis/v1", chain_id, genesis_time_ns, app_state]. Raises Malformed.
    """
    try:
        chain_id, time_ns = str(document["chain_id"]), parse_time(document["genesis_time"])
        content = cbor.encode([GENESIS_TAG, chain_id, time_ns, document["app_state"]])
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed("malformed", f"the node's genesis document: {error!r}") from None
    return chain_id, time_ns, sha256(content).digest()
