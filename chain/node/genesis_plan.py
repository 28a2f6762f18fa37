"""A new network's plan, in TOML, made into the genesis document that its first operators share.

```
chain_id = "ankr-1"
time = 2026-12-01T12:00:00Z
operators = ["north.json", "south.json"]      # what dccn genesis operator printed, relative to this file
bond = "100000"                               # of each, out of bond_share
bond_share = "marketing"
[parameters]                                  # only what differs from production
[[hubs]]    name, address
[[grants]]  share, address, amount
[[vesting]] share, address, amount, start_days, cliff_days, duration_days
```
Amounts are decimal ANKR. The shares are the note's; what a share does not give away stays reserved in it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from chain.errors import Malformed
from chain.ledger.genesis import MARKETING, Genesis, load_allocation, unassigned
from chain.ledger.parameters import SUPPLY_ATTO, Parameters
from chain.node import home as node_home
from chain.node.home import NETWORK_POWER
from chain.wire.amounts import format_ankr, parse_ankr

_DAY_S = 86_400
MAX_FILE_BYTES = 64 << 20


class OperatorCard(msgspec.Struct, forbid_unknown_fields=True):
    """What an operator of the genesis shows of itself: account (ankr1…), two public keys and its node's id in hex."""

    name: str
    address: str
    consensus: str
    vrf: str
    node: str


class _Hub(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    address: str


class _Grant(msgspec.Struct, forbid_unknown_fields=True):
    share: str
    address: str
    amount: str


class _Vesting(msgspec.Struct, forbid_unknown_fields=True):
    share: str
    address: str
    amount: str
    duration_days: int
    cliff_days: int = 0
    start_days: int = 0


class _Plan(msgspec.Struct, forbid_unknown_fields=True):
    chain_id: str
    time: datetime
    operators: list[str]
    bond: str | None = None
    bond_share: str = MARKETING
    parameters: dict[str, int | str] = {}
    hubs: list[_Hub] = []
    grants: list[_Grant] = []
    vesting: list[_Vesting] = []


@dataclass(frozen=True, slots=True)
class ShareSums:
    """One share in atto: what it has, and what of it is granted, bonded, vesting, and stays reserved."""

    name: str
    amount_atto: int
    granted_atto: int
    bonded_atto: int
    vesting_atto: int
    left_atto: int


def build(path: Path) -> dict[str, Any]:
    """The genesis document of a plan, checked; raises Malformed with the file and what is wrong in it."""
    plan = _read(path)
    if plan.time.tzinfo is None:
        raise Malformed("malformed", f"{path}: time {plan.time} has no zone; end it with Z")
    cards = [_card(path.parent / name) for name in plan.operators]
    parameters = Parameters.from_json({"validator_power": NETWORK_POWER, **plan.parameters})
    bond_atto = parameters.min_bond_atto if plan.bond is None else parse_ankr(plan.bond)
    app_state = {
        "parameters": parameters.to_json(),
        "allocation": _allocation(plan, path),
        "operators": [
            {
                "name": card.name,
                "address": card.address,
                "bond_atto": str(bond_atto),
                "bond_share": plan.bond_share,
                "keys": [{"consensus": card.consensus, "vrf": card.vrf}],
            }
            for card in cards
        ],
        "hubs": [{"name": hub.name, "address": hub.address} for hub in plan.hubs],
    }
    time_ns = round(plan.time.timestamp()) * 10**9
    return node_home.document(Genesis.parse(plan.chain_id, time_ns, app_state), app_state)


def sums(genesis: Genesis) -> list[ShareSums]:
    """Every share of a checked genesis: what is granted, bonded, vesting and left adds up to it."""
    left = unassigned(genesis)
    rows = []
    for share in genesis.allocation:
        vesting = sum(each.amount_atto for each in share.vesting)
        bonded = sum(each.bond_atto for each in genesis.operators if each.bond_share == share.name)
        granted = sum(grant.amount_atto for grant in share.grants)
        rows.append(ShareSums(share.name, share.amount_atto, granted, bonded, vesting, left[share.name] - vesting))
    assert sum(row.amount_atto for row in rows) == SUPPLY_ATTO, "a parsed genesis adds up"
    return rows


def _allocation(plan: _Plan, path: Path) -> list[dict[str, Any]]:
    shares: dict[str, dict[str, Any]] = {
        row["share"]: {**row, "grants": [], "vesting": []} for row in load_allocation()
    }
    for grant in plan.grants:
        entry = {"address": grant.address, "amount_atto": str(parse_ankr(grant.amount))}
        _share(shares, grant.share, path)["grants"].append(entry)
    for each in plan.vesting:
        vesting: dict[str, Any] = {
            "address": each.address,
            "amount_atto": str(parse_ankr(each.amount)),
            "start_s": each.start_days * _DAY_S,
            "cliff_s": each.cliff_days * _DAY_S,
            "duration_s": each.duration_days * _DAY_S,
        }
        _share(shares, each.share, path)["vesting"].append(vesting)
    return list(shares.values())


def _share(shares: Mapping[str, dict[str, Any]], name: str, path: Path) -> dict[str, Any]:
    if name not in shares:
        raise Malformed("malformed", f"{path}: there is no share {name!r}; there are {', '.join(shares)}")
    return shares[name]


def _read(path: Path) -> _Plan:
    try:
        return msgspec.convert(tomllib.loads(_bytes(path).decode()), _Plan)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise Malformed("malformed", f"{path}: {error}") from None


def _card(path: Path) -> OperatorCard:
    try:
        return msgspec.json.decode(_bytes(path), type=OperatorCard)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Malformed("malformed", f"{path}: {error}") from None


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Malformed("too_large", f"{path} is over {MAX_FILE_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise Malformed("usage", f"reading {path}: {error.strerror}") from None


def as_table(rows: list[ShareSums]) -> str:
    """For a person: whole columns of ANKR."""
    head = ("share", "ANKR", "granted", "bonded", "vesting", "reserved")
    total = ShareSums("in all", *(sum(column) for column in zip(*(_amounts(row) for row in rows), strict=True)))
    lines = [head, *((row.name, *map(format_ankr, _amounts(row))) for row in (*rows, total))]
    return "\n".join(f"{line[0]:<18}" + "".join(f"{cell:>18}" for cell in line[1:]) for line in lines)


def _amounts(row: ShareSums) -> tuple[int, int, int, int, int]:
    return row.amount_atto, row.granted_atto, row.bonded_atto, row.vesting_atto, row.left_atto
