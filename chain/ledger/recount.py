"""Counting the supply anew from every entry of the state: for tests, and for a doctor of a damaged node."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chain.errors import Faulty
from chain.ledger.disputes import CHALLENGES_PREFIX, Challenges
from chain.ledger.payouts import PAYOUT_PREFIX, Payments
from chain.wire.bridge import BEP2, ERC20, FORMS, LOCK_PREFIX, RELEASE_PREFIX, Lock, Release, released_form
from chain.wire.deals import DEAL_PREFIX, Deal
from chain.wire.operators import OPERATOR_PREFIX, UNBONDING_PREFIX, Operator, Unbonding
from chain.wire.state import ACCOUNT_PREFIX, SUPPLY_KEY, Account, Supply


def recount(entries: Iterable[tuple[bytes, bytes]]) -> Supply:
    """The supply with its parts counted anew from all entries of the state; pools and reserved shares as maintained."""
    accounts = bonds = payable = escrow = 0
    bridged = dict.fromkeys(FORMS, 0)
    maintained: Supply | None = None
    for key, value in entries:
        if key.startswith(ACCOUNT_PREFIX):
            accounts += Account.decode(value).balance_atto
        elif key.startswith(OPERATOR_PREFIX):
            bonds += Operator.decode(value).bond_atto
        elif key.startswith(UNBONDING_PREFIX):
            bonds += Unbonding.decode(value).amount_atto
        elif key.startswith(DEAL_PREFIX):
            escrow += Deal.decode(value).escrow_atto
        elif key.startswith(CHALLENGES_PREFIX):
            escrow += sum(challenge.bond_atto for challenge in Challenges.decode(value).open)
        elif key.startswith(PAYOUT_PREFIX):
            payable += sum(payment.amount_atto for payment in Payments.decode(value).payments)
        elif key.startswith(LOCK_PREFIX):
            lock = Lock.decode(value)
            bridged[lock.form] += lock.amount_atto
        elif key.startswith(RELEASE_PREFIX):
            bridged[released_form(key)] -= Release.decode(value).amount_atto
        elif key == SUPPLY_KEY:
            maintained = Supply.decode(value)
    if maintained is None:
        raise Faulty("state_corrupt", "the state has no supply: it was never initialised")
    return msgspec.structs.replace(
        maintained,
        accounts_atto=accounts,
        bonds_atto=bonds,
        payable_atto=payable,
        escrow_atto=escrow,
        bridged_bep2_atto=bridged[BEP2],
        bridged_erc20_atto=bridged[ERC20],
    )
