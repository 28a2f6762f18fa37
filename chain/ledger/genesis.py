"""The genesis document's `app_state`: parameters, the shares of the supply, operators with their bonds, hubs.

```
{"parameters": {name: integer, or decimal string for …_atto},
 "allocation": [{"share": "marketing", "amount_atto": "…", "grants": [{"address": "ankr1…", "amount_atto": "…"}],
                 "vesting": [{"address", "amount_atto", "start_s", "cliff_s", "duration_s"}]}],
 "operators":  [{"name", "address": "ankr1…", "bond_atto": "…", "bond_share": "marketing",
                 "keys": [{"consensus": "<64 hex digits>", "vrf": "<64 hex digits>"}]}],
 "hubs":       [{"name", "address": "ankr1…"}]}
```
Amounts are decimal strings of 10^-18 ANKR. The shares must add up to the supply, and no share may grant or bond more
than it has; `mining` grants nothing, it is what emission comes from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

from chain.crypto.address import address, decode, encode, validator_address
from chain.crypto.keys import PublicKey
from chain.errors import Malformed
from chain.ledger.parameters import SUPPLY_ATTO, Parameters, amount_from_json
from chain.wire import cbor
from chain.wire.rfc3339 import parse_time
from chain.wire.transactions import ANKR

GENESIS_TAG = "dccn/genesis/v1"
MINING = "mining"
MARKETING = "marketing"
DEMO_HUB_GRANT_ATTO = 1_000_000 * ANKR

_KEY_BYTES = 32
_LONGEST_S = 100 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Grant:
    """Part of a share that an account holds from the start."""

    address: bytes
    amount_atto: int


@dataclass(frozen=True, slots=True)
class Share:
    """A named part of the supply."""

    name: str
    amount_atto: int
    grants: tuple[Grant, ...] = ()
    vesting: tuple[GenesisVesting, ...] = ()


@dataclass(frozen=True, slots=True)
class GenesisVesting:
    """Part of a share that is released over time, from `start_s` after genesis on; see `chain.ledger.vesting`."""

    address: bytes
    amount_atto: int
    start_s: int
    cliff_s: int
    duration_s: int


@dataclass(frozen=True, slots=True)
class GenesisOperator:
    """An operator whose keys form the first validator set; the bond comes out of `bond_share`."""

    name: str
    address: bytes
    bond_atto: int
    bond_share: str
    keys: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class GenesisHub:
    name: str
    address: bytes


class DemoOperator(NamedTuple):
    """What `build_demo_app_state` needs of an operator: the account's key, the consensus and the VRF public key."""

    name: str
    owner: PublicKey
    consensus_public: bytes
    vrf_public: bytes


@dataclass(frozen=True, slots=True)
class Genesis:
    """A checked genesis: whatever `parse` returns can be initialised."""

    chain_id: str
    time_ns: int
    parameters: Parameters
    allocation: tuple[Share, ...]
    operators: tuple[GenesisOperator, ...]
    hubs: tuple[GenesisHub, ...]

    @classmethod
    def parse(cls, chain_id: str, time_ns: int, app_state: Mapping[str, Any]) -> Genesis:
        """Read and check `app_state`; raises `malformed` with what is wrong."""
        try:
            raw = msgspec.convert(app_state, _AppState)
        except msgspec.ValidationError as error:
            raise Malformed("malformed", f"app_state of the genesis document: {error}") from error
        genesis = cls(
            chain_id,
            time_ns,
            Parameters.from_json(raw.parameters),
            tuple(_read_share(share) for share in raw.allocation),
            tuple(_read_operator(operator) for operator in raw.operators),
            tuple(GenesisHub(hub.name, decode(hub.address)) for hub in raw.hubs),
        )
        _check_sums(genesis)
        _check_keys(genesis)
        return genesis

    @classmethod
    def parse_document(cls, document: Mapping[str, Any]) -> Genesis:
        """From a whole CometBFT genesis document."""
        chain_id, time_ns, app_state = _document_parts(document)
        return cls.parse(chain_id, time_ns, app_state)

    def validators(self) -> tuple[tuple[bytes, int], ...]:
        """The first validator set: (Ed25519 public key, power) of every key of every operator."""
        power = self.parameters.validator_power
        return tuple((consensus, power) for operator in self.operators for consensus, _ in operator.keys)


def genesis_hash(document: Mapping[str, Any]) -> bytes:
    """SHA-256 of canonical CBOR ["dccn/genesis/v1", chain_id, genesis_time_ns, app_state]."""
    return sha256(cbor.encode([GENESIS_TAG, *_document_parts(document)])).digest()


def load_allocation() -> list[dict[str, str]]:
    """The note's shares of the supply, as `allocation` of an `app_state` without grants; 10 000 000 000 ANKR in all."""
    document = json.loads(files(__package__).joinpath("allocation.json").read_text(encoding="utf-8"))
    return [{"share": row["share"], "amount_atto": row["amount_atto"]} for row in document["shares"]]


def build_demo_app_state(
    hub_address: bytes,
    operators: Iterable[tuple[str, PublicKey, bytes, bytes]],
    parameters: Parameters | None = None,
    grants: Iterable[tuple[bytes, int]] = (),
) -> dict[str, Any]:
    """An `app_state` for one machine: 1 000 000 ANKR of marketing for the hub, min_bond for each operator.

    `operators` are (name, account key, consensus Ed25519 public, VRF public), see `DemoOperator`; `grants` are further
    (address, atto) out of marketing.
    """
    chosen = parameters or Parameters.demo()
    marketing = [(hub_address, DEMO_HUB_GRANT_ATTO), *grants]
    allocation: list[dict[str, Any]] = []
    for share in load_allocation():
        granted = marketing if share["share"] == MARKETING else []
        rows = [{"address": encode(account), "amount_atto": str(amount)} for account, amount in granted]
        allocation.append({**share, "grants": rows})
    return {
        "parameters": chosen.to_json(),
        "allocation": allocation,
        "operators": [
            {
                "name": name,
                "address": encode(address(owner)),
                "bond_atto": str(chosen.min_bond_atto),
                "bond_share": MARKETING,
                "keys": [{"consensus": consensus.hex(), "vrf": vrf.hex()}],
            }
            for name, owner, consensus, vrf in operators
        ],
        "hubs": [{"name": "hub", "address": encode(hub_address)}],
    }


class _RawGrant(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    amount_atto: str


class _RawVesting(msgspec.Struct, forbid_unknown_fields=True):
    address: str
    amount_atto: str
    start_s: int
    cliff_s: int
    duration_s: int


class _RawShare(msgspec.Struct, forbid_unknown_fields=True):
    share: str
    amount_atto: str
    grants: list[_RawGrant] = []
    vesting: list[_RawVesting] = []


class _RawKeys(msgspec.Struct, forbid_unknown_fields=True):
    consensus: str
    vrf: str


class _RawOperator(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    address: str
    bond_atto: str
    bond_share: str
    keys: list[_RawKeys]


class _RawHub(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    address: str


class _AppState(msgspec.Struct, forbid_unknown_fields=True):
    parameters: dict[str, int | str]
    allocation: list[_RawShare]
    operators: list[_RawOperator]
    hubs: list[_RawHub]


def _document_parts(document: Mapping[str, Any]) -> tuple[str, int, Mapping[str, Any]]:
    chain_id, time, app_state = (document.get(name) for name in ("chain_id", "genesis_time", "app_state"))
    if not isinstance(chain_id, str) or not chain_id or not isinstance(time, str) or not isinstance(app_state, dict):
        raise Malformed("malformed", "a genesis document has chain_id, genesis_time and app_state")
    return chain_id, parse_time(time), app_state


def _read_share(raw: _RawShare) -> Share:
    grants = tuple(Grant(decode(grant.address), amount_from_json(grant.amount_atto, "a grant")) for grant in raw.grants)
    vesting = tuple(_read_vesting(each) for each in raw.vesting)
    return Share(raw.share, amount_from_json(raw.amount_atto, f"share {raw.share}"), grants, vesting)


def _read_vesting(raw: _RawVesting) -> GenesisVesting:
    if not 0 <= raw.cliff_s <= raw.duration_s <= _LONGEST_S or not 0 <= raw.start_s <= _LONGEST_S:
        raise Malformed("malformed", f"vesting for {raw.address}: start, and cliff within the duration, in seconds")
    amount = amount_from_json(raw.amount_atto, "a vesting")
    return GenesisVesting(decode(raw.address), amount, raw.start_s, raw.cliff_s, raw.duration_s)


def _read_operator(raw: _RawOperator) -> GenesisOperator:
    keys = tuple((_read_key(key.consensus), _read_key(key.vrf)) for key in raw.keys)
    bond = amount_from_json(raw.bond_atto, f"the bond of {raw.name}")
    return GenesisOperator(raw.name, decode(raw.address), bond, raw.bond_share, keys)


def _read_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise Malformed("bad_key", f"{text!r} is not a public key of {_KEY_BYTES} bytes in hex")
    return key


def _check_sums(genesis: Genesis) -> None:
    total = sum(share.amount_atto for share in genesis.allocation)
    if total != SUPPLY_ATTO:
        raise Malformed("malformed", f"the shares add up to {total} atto, the supply is {SUPPLY_ATTO}")
    names = [share.name for share in genesis.allocation]
    if len(names) != len(dict.fromkeys(names)) or MINING not in names:
        raise Malformed("malformed", f"the shares {names} must be different ones with {MINING!r} among them")
    left = unassigned(genesis)
    for operator in genesis.operators:
        if operator.bond_share not in left:
            raise Malformed("malformed", f"operator {operator.name} is bonded from {operator.bond_share!r}, no share")
    overdrawn = [name for name, amount in left.items() if amount < 0]
    if overdrawn:
        raise Malformed("malformed", f"the shares {overdrawn} grant and bond more than they have")
    for share in genesis.allocation:
        if sum(each.amount_atto for each in share.vesting) > left[share.name] or (
            share.vesting and share.name == MINING
        ):
            raise Malformed("malformed", f"share {share.name!r} vests more than it has")
    mining = next(share for share in genesis.allocation if share.name == MINING)
    if left[MINING] != mining.amount_atto:
        raise Malformed("malformed", "the mining share is for emission and grants nothing")


def unassigned(genesis: Genesis) -> dict[str, int]:
    """What is left of each share in atto after grants and bonds, by name."""
    left = {
        share.name: share.amount_atto - sum(grant.amount_atto for grant in share.grants) for share in genesis.allocation
    }
    for operator in genesis.operators:
        if operator.bond_share in left:
            left[operator.bond_share] -= operator.bond_atto
    return left


def _check_keys(genesis: Genesis) -> None:
    if not genesis.operators or not all(operator.keys for operator in genesis.operators):
        raise Malformed("malformed", "a chain starts with at least one operator, each with at least one key")
    keys = [key for operator in genesis.operators for key in operator.keys]
    consensus = [validator_address(public) for public, _ in keys]
    vrf = [public for _, public in keys]
    addresses = [operator.address for operator in genesis.operators]
    hubs = [hub.address for hub in genesis.hubs]
    for kind, values in (("consensus key", consensus), ("VRF key", vrf), ("operator", addresses), ("hub", hubs)):
        if len(values) != len(dict.fromkeys(values)):
            raise Malformed("malformed", f"a {kind} stands twice in the genesis document")
