"""What must hold before a transaction may change anything, and the fee and nonce that it then costs."""

from __future__ import annotations

from chain.crypto.address import address
from chain.errors import Refused
from chain.ledger.block import Execution
from chain.ledger.fees import check_fee, sponsored, sponsorship_key
from chain.wire.transactions import BEACON, MAX_COUNTER, TYPES, Transaction


def admit(run: Execution, transaction: Transaction, size_bytes: int, *, well_signed: bool) -> bytes:
    """Take the fee and use the nonce; returns the sender's address.

    Refuses without changing anything: `bad_signature`, `tx_system`, `tx_unknown_type`, `tx_expired`, `tx_bad_nonce`,
    `tx_fee_too_low`, `tx_quota`, `tx_insufficient_funds`. The sender's address is derived from the key that signed, so
    nobody can name another's account.
    """
    if not well_signed:
        raise Refused("bad_signature", "the sender's or the fee payer's signature does not verify")
    if transaction.type == BEACON:
        raise Refused("tx_system", "type 0 is the proposer's own")
    if transaction.type not in TYPES:
        raise Refused("tx_unknown_type", f"type {transaction.type}")
    if transaction.valid_until_height is not None and run.height > transaction.valid_until_height:
        raise Refused("tx_expired", f"valid until height {transaction.valid_until_height}, this is {run.height}")
    check_fee(transaction.fee, size_bytes, run.parameters)
    sender = address(transaction.sender)
    purse = run.overlay.purse(sender)
    if transaction.nonce != purse.nonce or purse.nonce == MAX_COUNTER:
        raise Refused("tx_bad_nonce", f"nonce {transaction.nonce}, the account's next is {purse.nonce}")
    if transaction.fee_payer is None:
        _pay(run, sender, transaction.fee)
    else:
        sponsor = address(transaction.fee_payer)
        if sponsor == sender:
            raise Refused("malformed", "a transaction that its sender pays names no fee payer")
        sponsorship = sponsored(run, sponsor, sender)
        _pay(run, sponsor, transaction.fee)
        run.overlay.set_entry(sponsorship_key(sponsor, sender), sponsorship)
    purse.nonce += 1
    return sender


def _pay(run: Execution, payer: bytes, fee_atto: int) -> None:
    purse = run.overlay.purse(payer)
    if purse.balance_atto < fee_atto:
        raise Refused("tx_insufficient_funds", f"a fee of {fee_atto} atto from a balance of {purse.balance_atto}")
    purse.balance_atto -= fee_atto
    run.fees_atto += fee_atto
