"""What the chain's state says now of somebody in the index, proven under a header that the index verified."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from chain.crypto.address import encode
from chain.errors import DccnError, Refused
from chain.history.mentions import ADDRESS, DEVICE
from chain.history.search import History
from chain.history.store import Index
from chain.wallet.client import ChainClient
from chain.wallet.trust import Trust
from chain.wire.amounts import format_ankr
from chain.wire.deals import Deal
from chain.wire.operators import Operator


class Now:
    """Asks one node, one question at a time; what cannot be proven is `{"code", "message"}`, the page does without."""

    def __init__(self, rpc_url: str, index: Index) -> None:
        self._rpc_url = rpc_url
        self._history = History(index)
        self._client: ChainClient | None = None
        self._turn = threading.Lock()

    def subject(self, kind: str, value: bytes) -> dict[str, Any]:
        """Of an address, a device or a deal; `height` is where it is proven, `found` whether there is such a thing."""
        ask = {ADDRESS: _account, DEVICE: _device}.get(kind, _deal)
        return self._asked(lambda client: ask(client, value))

    def validators(self) -> dict[str, Any]:
        """Who signs now, with voting power; of elected ones also whose they are and what the election weighs."""
        return self._asked(_validators)

    def _asked(self, ask: Callable[[ChainClient], dict[str, Any]]) -> dict[str, Any]:
        with self._turn:
            try:
                return ask(self._chain())
            except DccnError as error:
                self._forget()  # the next question begins with a newer header of the index
                return {"code": error.code, "message": error.message}

    def _forget(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    def _chain(self) -> ChainClient:
        if self._client is None:
            anchor = self._history.highest()
            if anchor is None:
                raise Refused("height_unknown", "the index is empty, so there is no header yet to prove anything by")
            self._client = ChainClient(self._rpc_url, Trust(*anchor))
        return self._client


def _account(client: ChainClient, account: bytes) -> dict[str, Any]:
    found, level = client.account(account), client.service_level(account).value
    reward, operator = client.reward(account).value, client.operator(account).value
    shown: dict[str, Any] = {"height": found.height, "found": True, "balance": format_ankr(found.value.balance_atto)}
    shown["nonce"] = found.value.nonce
    if level is not None:
        shown |= {"service_level": level.service_level, "devices": level.devices, "ratings": level.ratings}
        shown["stars"] = round(level.stars_sum / level.ratings, 2) if level.ratings else None
    if reward is not None:
        shown |= {"rewards_total": format_ankr(reward.total_atto), "rewards_last": format_ankr(reward.amount_atto)}
    if operator is not None:
        bond, state = format_ankr(operator.bond_atto), _standing(operator)
        shown["operator"] = {"name": operator.name, "bond": bond, "state": state}
    return shown


def _standing(operator: Operator) -> str:
    if operator.tombstoned:
        return "removed for double signing"
    return "jailed" if operator.jailed else "in good standing"


def _device(client: ChainClient, device: bytes) -> dict[str, Any]:
    found = client.device(device)
    shown: dict[str, Any] = {"height": found.height, "found": found.value is not None}
    if found.value is not None:
        return shown | {"owner": encode(found.value.owner), "registered_height": found.value.registered_height}
    revoked = client.revoked_device(device).value
    if revoked is not None:
        shown |= {"found": True, "owner": encode(revoked.device.owner), "revoked_epoch": revoked.revoked_epoch}
    return shown


def _deal(client: ChainClient, deal: bytes) -> dict[str, Any]:
    found = client.deal(deal)
    if found.value is None:
        return {"height": found.height, "found": False}
    return {"height": found.height, "found": True, **_deal_parts(found.value)}


def _deal_parts(deal: Deal) -> dict[str, Any]:
    return {
        "state": "open" if deal.outcome is None else f"settled: {deal.outcome}",
        "customer": encode(deal.customer),
        "provider": encode(deal.provider),
        "app_provider": encode(deal.app_provider),
        "platform": encode(deal.platform),
        "escrow": format_ankr(deal.escrow_atto),
        "used": format_ankr(deal.used_atto),
        "paid": format_ankr(deal.paid_atto),
        "exhausted": deal.exhausted,
        "rated": deal.rated,
        "terms": deal.terms.hex(),
    }


def _validators(client: ChainClient) -> dict[str, Any]:
    found = client.validators()
    since = {(seat.operator, seat.key): seat.since_epoch for seat in client.seats().value}
    rows = []
    for one in found.value:
        row: dict[str, Any] = {"validator": one.address.hex(), "power": one.power}
        known = client.validator(one.address).value
        operator = None if known is None else client.operator(known.operator).value
        if known is not None and operator is not None:
            level = client.service_level(known.operator).value
            row |= {"operator": encode(known.operator), "name": operator.name, "bond": format_ankr(operator.bond_atto)}
            row |= {"jailed": operator.jailed, "service_level": None if level is None else level.proven_level}
            row["since_epoch"] = since.get((known.operator, known.key))
        rows.append(row)
    return {"height": found.height, "total_power": found.value.total_power, "validators": rows}
