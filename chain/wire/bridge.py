"""ANKR on other chains: bodies of the bridge's transactions, and what the state keeps of it.

The 2019 note names three forms of ANKR: native, BEP2 and ERC20. All of them are one supply. What goes to another chain
is locked here (`Lock`) and minted there; what is burned there is attested by guardians and released here (`Release`).

| key | value |
|---|---|
| `bridge/state` | `Bridge`; absent: closed |
| `bridge/lock/` u64be(number) | `Lock`, for ever |
| `bridge/release/` form `/` burn(32) | `Release`, for ever: no burn is released twice |
| `bridge/said/` guardian address(20) | `Said`, what a guardian attested and nobody released yet |
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from chain.crypto.address import ADDRESS_BYTES
from chain.errors import Malformed
from chain.wire.amounts import MAX_AMOUNT
from chain.wire.fields import Fields
from chain.wire.kinds import BRIDGE_ATTEST, BRIDGE_GUARDIANS, BRIDGE_LOCK, BRIDGE_PAUSE, Content
from chain.wire.state import Entry

BEP2, ERC20 = "bep2", "erc20"
FORMS = (BEP2, ERC20)
"""The forms on other chains, in the order of their names."""

UNIT_ATTO = {BEP2: 10**10, ERC20: 1}
"""The least amount of a form: BEP2 has 8 decimals, ERC20 the chain's own 18."""

MAX_GUARDIANS = 21
MAX_SAID = 32
BURN_BYTES = 32
GUARDIAN, STAKE = "guardian", "stake"
"""In whose name somebody pauses: one guardian alone may stop the bridge, two thirds of the stake may do both."""

BRIDGE_KEY = b"bridge/state"
LOCK_PREFIX = b"bridge/lock/"
RELEASE_PREFIX = b"bridge/release/"

_MAX_FORM_BYTES = 8
_MAX_VOICE_BYTES = 8


class BridgeLock(NamedTuple):
    """`[form, recipient(20), amount]`: the recipient's address on the other chain."""

    form: str
    recipient: bytes
    amount_atto: int


class Statement(NamedTuple):
    """`[form, burn(32), recipient(20), amount]`: a transaction of the other chain burned that much for an account."""

    form: str
    burn: bytes
    recipient: bytes
    amount_atto: int


class Pause(NamedTuple):
    """`[voice, paused]`."""

    voice: str
    paused: bool


class Guardians(NamedTuple):
    """`[addresses ascending, threshold]`: more than half of them must say the same; `[[], 0]` closes the bridge."""

    addresses: tuple[bytes, ...]
    threshold: int


class Bridge(Entry, frozen=True):
    """Who guards it, and what was released on which day (since 1970) by form, in the order of `FORMS`."""

    guardians: tuple[bytes, ...]
    threshold: int
    paused: bool
    next_lock: int
    released: tuple[tuple[int, int], ...]


class Lock(Entry, frozen=True):
    """What left for the other chain: whoever shows the proof of this entry there may mint as much, once."""

    form: str
    sender: bytes
    recipient: bytes
    amount_atto: int
    height: int


class Release(Entry, frozen=True):
    """What came back, and who attested it."""

    recipient: bytes
    amount_atto: int
    height: int
    guardians: tuple[bytes, ...]


class Said(Entry, frozen=True):
    """A guardian's open statements, oldest first, each with the time of the block that took it."""

    statements: tuple[tuple[Statement, int], ...]


CLOSED = Bridge((), 0, False, 0, ((0, 0),) * len(FORMS))


def lock_key(number: int) -> bytes:
    return LOCK_PREFIX + number.to_bytes(8, "big")


def release_key(form: str, burn: bytes) -> bytes:
    return RELEASE_PREFIX + form.encode() + b"/" + burn


def released_form(key: bytes) -> str:
    """The form in a release's key."""
    return key[len(RELEASE_PREFIX) : -BURN_BYTES - 1].decode()


def said_key(guardian: bytes) -> bytes:
    return b"bridge/said/" + guardian


def bridge_lock(form: str, recipient: bytes, amount_atto: int) -> Content:
    return BRIDGE_LOCK, [form, recipient, amount_atto]


def bridge_attest(statement: Statement) -> Content:
    return BRIDGE_ATTEST, list(statement)


def bridge_pause(voice: str, paused: bool) -> Content:
    return BRIDGE_PAUSE, [voice, paused]


def bridge_guardians(addresses: list[bytes], threshold: int) -> Content:
    """The addresses are put in order."""
    return BRIDGE_GUARDIANS, [sorted(addresses), threshold]


def read_bridge_lock(body: list[Any]) -> BridgeLock:
    """Refuses the other chain's zero address, to which nothing can be minted."""
    fields = Fields(body, None, 3)
    form, recipient = _form(fields, 0), fields.octets(1, ADDRESS_BYTES)
    if not any(recipient):
        raise Malformed("malformed", f"the zero address of {form} owns nothing: what goes there is lost")
    return BridgeLock(form, recipient, _amount(fields, 2, form))


def read_bridge_attest(body: list[Any]) -> Statement:
    fields = Fields(body, None, 4)
    form = _form(fields, 0)
    return Statement(form, fields.octets(1, BURN_BYTES), fields.octets(2, ADDRESS_BYTES), _amount(fields, 3, form))


def read_bridge_pause(body: list[Any]) -> Pause:
    fields = Fields(body, None, 2)
    voice, paused = fields.text(0, _MAX_VOICE_BYTES), fields.any(1)
    if voice not in (GUARDIAN, STAKE) or type(paused) is not bool:
        raise Malformed("malformed", f"a pause is [{GUARDIAN!r} or {STAKE!r}, true or false]")
    return Pause(voice, paused)


def read_bridge_guardians(body: list[Any]) -> Guardians:
    """Addresses must ascend; the threshold is more than half of them, or 0 for none."""
    fields = Fields(body, None, 2)
    addresses = tuple(fields.octets_list(0, ADDRESS_BYTES, MAX_GUARDIANS))
    if any(left >= right for left, right in pairwise(addresses)):
        raise Malformed("malformed", "the guardians of the bridge ascend by address, one place for each")
    least = len(addresses) // 2 + 1 if addresses else 0
    return Guardians(addresses, fields.integer(1, least, len(addresses)))


def _form(fields: Fields, at: int) -> str:
    form = fields.text(at, _MAX_FORM_BYTES)
    if form not in FORMS:
        raise Malformed("malformed", f"{form!r} is no form of ANKR on another chain: {', '.join(FORMS)}")
    return form


def _amount(fields: Fields, at: int, form: str) -> int:
    amount_atto = fields.integer(at, 1, MAX_AMOUNT)
    if amount_atto % UNIT_ATTO[form]:
        raise Malformed("malformed", f"{amount_atto} atto: {form} moves whole multiples of {UNIT_ATTO[form]}")
    return amount_atto
