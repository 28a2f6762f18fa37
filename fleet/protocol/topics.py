"""The registry of every MQTT topic: who sends what, how, and for how long it is worth delivering.

A topic is `dccn/v1/{fleet}/{device}/{leaf}`, so that tools can cut it at fixed places. `device` is the first 32 hex
digits of the device id and equals the CN of the device's client certificate, which the broker's access rules compare.
`docs/protocol.md` and the broker's access list are generated from `LEAVES`; nothing else spells a topic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from chain.errors import Malformed, Refused

ROOT: Final = "dccn/v1"
TOPIC_ID_DIGITS: Final = 32
MAX_TOPIC_CHARACTERS: Final = 256
MAX_PACKET_BYTES: Final = 1_048_576
"""Largest MQTT packet that the broker takes: room for an opened proof of the standard profile."""

JSON: Final = "application/json"
COSE: Final = 'application/cose; cose-type="cose-sign1"'

_FLEET = re.compile(r"[a-z0-9-]{1,63}")
_DEVICE = re.compile(r"[0-9a-f]{32}")
_ARGUMENT = re.compile(r"[a-z0-9_.-]{1,63}")
_PLACEHOLDER = re.compile(r"\{[a-z]+\}")

Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One kind of message. `up` goes from device to hub, `down` from hub to device.

    `expiry_s` is the MQTT message expiry (None: kept until replaced), `max_bytes` the largest payload looked at.
    """

    name: str
    direction: Direction
    qos: Literal[0, 1]
    retain: bool
    expiry_s: int | None
    content_type: str
    max_bytes: int
    meaning: str
    _matcher: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = _PLACEHOLDER.sub(lambda match: f"(?P<{match.group()[1:-1]}>[^/]+)", self.name)
        object.__setattr__(self, "_matcher", re.compile(pattern))

    def topic(self, fleet: str, device: str, **arguments: str | int) -> str:
        """The topic on which `device` (32 hex digits) sends or receives this leaf. Raises Malformed for a bad id."""
        _check(_FLEET, fleet, "fleet id")
        _check(_DEVICE, device, "device topic id")
        for value in arguments.values():
            _check(_ARGUMENT, str(value), "topic level")
        return f"{ROOT}/{fleet}/{device}/{self.name.format(**arguments)}"

    def filter(self, fleet: str = "+", device: str = "+") -> str:
        """The subscription that matches this leaf, by default of every fleet and device."""
        return f"{ROOT}/{fleet}/{device}/{_PLACEHOLDER.sub('+', self.name)}"

    def match(self, leaf: str) -> dict[str, str] | None:
        """The placeholders' values when `leaf` is the end of a topic of this kind."""
        found = self._matcher.fullmatch(leaf)
        return found.groupdict() if found else None


STATE = Leaf(
    "state",
    "up",
    1,
    True,
    None,
    JSON,
    4_096,
    "Whether the device is online, and since when. The last will on the same topic says `online: false`.",
)
REPORTED = Leaf(
    "reported",
    "up",
    1,
    True,
    None,
    JSON,
    262_144,
    "What the device is: processor, memory, disks, network, GPUs, and the desired version it has applied.",
)
TELEMETRY_SYSTEM = Leaf(
    "tele/sys",
    "up",
    0,
    False,
    300,
    JSON,
    16_384,
    "The machine's gauges: flat numbers with units in their names, null where unknown.",
)
TELEMETRY_GPU = Leaf(
    "tele/gpu/{index}",
    "up",
    0,
    False,
    300,
    JSON,
    16_384,
    "One GPU's gauges, by its NVML index: flat numbers, null where unknown.",
)
EVENT = Leaf(
    "event/{level}/{code}",
    "up",
    1,
    False,
    604_800,
    JSON,
    16_384,
    "Something a person may want to know; `level` is info, warn or crit.",
)
DELEGATION = Leaf(
    "proof/delegation",
    "up",
    1,
    False,
    86_400,
    COSE,
    4_096,
    "The identity key certifies this boot's record key (`del1`), before the boot's first record.",
)
WORK = Leaf(
    "proof/work", "up", 1, False, 86_400, COSE, 65_536, "One work record (`rec1`), signed by the boot's record key."
)
POG_COMMIT = Leaf(
    "proof/pog-commit",
    "up",
    1,
    False,
    3_600,
    COSE,
    4_096,
    "The root over the computed rows (`poc1`), signed by the record key, within the challenge's window.",
)
POG_OPEN = Leaf(
    "proof/pog-open",
    "up",
    1,
    False,
    3_600,
    COSE,
    1_000_000,
    "The opened rows (`pogopen1`), drawn by the beacon of the block after the commitments' block.",
)
DESIRED = Leaf(
    "desired",
    "down",
    1,
    True,
    None,
    COSE,
    262_144,
    "What the device should be, as a command (`cmd1`); the device keeps the highest version.",
)
RECEIPT = Leaf(
    "ack/proof",
    "down",
    1,
    False,
    3_600,
    COSE,
    16_384,
    "The hub's receipt (`ack1`) after its commit; the device's spool deletes on nothing else.",
)
COMMAND_POG = Leaf(
    "cmd/pog",
    "down",
    1,
    False,
    30,
    COSE,
    4_096,
    "A challenge to compute is open: height, profile and window, as a command (`cmd1`).",
)
COMMAND_POG_OPEN = Leaf(
    "cmd/pog-open",
    "down",
    1,
    False,
    30,
    COSE,
    16_384,
    "The commitments are in a block: open on the next beacon, as a command (`cmd1`).",
)

COMMAND_UPDATE = Leaf(
    "cmd/update",
    "down",
    1,
    False,
    3_600,
    COSE,
    4_096,
    "There may be a release: look for it now, as a command (`cmd1`); it carries no trust.",
)

COMMAND_DECOMMISSION = Leaf(
    "cmd/decommission",
    "down",
    1,
    False,
    600,
    COSE,
    4_096,
    "Leave the chain, sign the proof of wipe, and wipe: the nonce to sign, as a command (`cmd1`).",
)

LEAVES: Final[tuple[Leaf, ...]] = (
    STATE,
    REPORTED,
    TELEMETRY_SYSTEM,
    TELEMETRY_GPU,
    EVENT,
    DELEGATION,
    WORK,
    POG_COMMIT,
    POG_OPEN,
    DESIRED,
    RECEIPT,
    COMMAND_POG,
    COMMAND_POG_OPEN,
    COMMAND_UPDATE,
    COMMAND_DECOMMISSION,
)


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed topic: which fleet and device, which leaf, and the values of the leaf's placeholders."""

    fleet: str
    device: str
    leaf: Leaf
    arguments: dict[str, str]


def parse(topic: str) -> Address:
    """Read a topic. Raises Refused(topic_unknown) for anything that is not in the registry."""
    if len(topic) <= MAX_TOPIC_CHARACTERS and topic.startswith(ROOT + "/"):
        fleet, _, rest = topic[len(ROOT) + 1 :].partition("/")
        device, _, name = rest.partition("/")
        if _FLEET.fullmatch(fleet) and _DEVICE.fullmatch(device):
            for leaf in LEAVES:
                arguments = leaf.match(name)
                if arguments is not None:
                    return Address(fleet, device, leaf, arguments)
    raise Refused("topic_unknown", f"no message belongs on topic {topic[:MAX_TOPIC_CHARACTERS]!r}")


def topic_id(device: bytes) -> str:
    """The id that topics, certificates and screens use: the first 32 hex digits of the 32-byte device id."""
    return device.hex()[:TOPIC_ID_DIGITS]


def _check(pattern: re.Pattern[str], value: str, what: str) -> None:
    if not pattern.fullmatch(value):
        raise Malformed("malformed", f"{value!r} is not a {what}")
