"""Simulated chains on the other side of the bridge: what an ERC20 contract or a BEP2 issuer would keep.

Nothing of them is shipped. They hold what the bridge relies on: a lock is minted once and to whom it names, only a
holder burns, and every burn has an identity of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from chain.wire.bridge import BEP2, ERC20, UNIT_ATTO, Lock, Statement, lock_key
from tests.chain.ledger.world import DictState


class ForeignRefusal(Exception):
    """The other chain turns it down."""


@dataclass
class ForeignLedger:
    """Balances in units of the form's own decimals."""

    form: str
    balances: dict[bytes, int] = field(default_factory=dict)
    minted: set[int] = field(default_factory=set)
    burns: dict[bytes, Statement] = field(default_factory=dict)

    def mint(self, number: int, native: DictState) -> None:
        """Against the native state, which stands for a proof of the lock's entry."""
        data = native.get(lock_key(number))
        if data is None or number in self.minted or (lock := Lock.decode(data)).form != self.form:
            raise ForeignRefusal(f"lock {number} mints nothing")
        self.minted.add(number)
        self.credit(lock.recipient, lock.amount_atto // UNIT_ATTO[self.form])

    def transfer(self, holder: bytes, to: bytes, units: int) -> None:
        self.debit(holder, units)
        self.credit(to, units)

    def burn(self, holder: bytes, units: int, recipient: bytes) -> Statement:
        """Destroy the holder's units for a native account; the statement is what guardians see."""
        self.debit(holder, units)
        burn = sha256(f"{self.form} burn {len(self.burns)}".encode()).digest()
        self.burns[burn] = Statement(self.form, burn, recipient, units * UNIT_ATTO[self.form])
        return self.burns[burn]

    @property
    def total_atto(self) -> int:
        """What exists of the form."""
        return sum(self.balances.values()) * UNIT_ATTO[self.form]

    def credit(self, holder: bytes, units: int) -> None:
        if not any(holder):
            raise ForeignRefusal("nobody owns the zero address")
        self.balances[holder] = self.balances.get(holder, 0) + units

    def debit(self, holder: bytes, units: int) -> None:
        if not 0 < units <= self.balances.get(holder, 0):
            raise ForeignRefusal(f"{units} units from a balance of {self.balances.get(holder, 0)}")
        self.balances[holder] -= units


class Erc20Ledger(ForeignLedger):
    """18 decimals, as the native form."""

    def __init__(self) -> None:
        super().__init__(ERC20)


class Bep2Ledger(ForeignLedger):
    """8 decimals."""

    def __init__(self) -> None:
        super().__init__(BEP2)
