"""A world whose stake opened the bridge, with the simulated chains on its other side."""

from __future__ import annotations

from dataclasses import replace

from chain.ledger.parameters import Parameters
from chain.wire.bridge import (
    BEP2,
    BRIDGE_KEY,
    ERC20,
    Bridge,
    Release,
    Said,
    Statement,
    bridge_attest,
    bridge_guardians,
    bridge_lock,
    release_key,
    said_key,
)
from chain.wire.transactions import ANKR, Content, transfer
from tests.chain.ledger.foreign import Bep2Ledger, Erc20Ledger, ForeignLedger
from tests.chain.ledger.world import FEE, World, account

GUARDIANS = tuple(f"guardian-{number}" for number in range(1, 6))
THRESHOLD = 3
DAILY_ANKR = 1_000
PURSE = 100_000 * ANKR
ABROAD = b"\x0a" * 20
"""Somebody's address on the other chains."""


class BridgedWorld(World):
    """Five guardians of whom three must agree; alice and bob have 100 000 ANKR, guardians and operators their fees."""

    def __init__(self, threshold: int = THRESHOLD) -> None:
        parameters = replace(Parameters.demo(), bridge_daily_limit_atto=DAILY_ANKR * ANKR)
        fees = [(name, 10_000 * FEE) for name in GUARDIANS]
        super().__init__(parameters, grants=[("alice", PURSE), ("bob", PURSE), *fees])
        self.block()
        self.block(*(self.sign("hub", transfer(account(o), 100 * FEE), ahead=n) for n, o in enumerate(self.operators)))
        self.foreign: dict[str, ForeignLedger] = {BEP2: Bep2Ledger(), ERC20: Erc20Ledger()}
        assert self.decide(bridge_guardians([account(name) for name in GUARDIANS], threshold)) == [""] * 3

    def send(self, name: str, content: Content) -> str:
        """The error of a block with one transaction, empty for success."""
        return self.block(self.sign(name, content)).results[0].error

    def decide(self, content: Content) -> list[str]:
        """Three of four equal operators: two thirds of the stake."""
        return [self.send(name, content) for name in self.operators[:3]]

    def lock(self, name: str, form: str, amount_atto: int, recipient: bytes = ABROAD) -> str:
        return self.send(name, bridge_lock(form, recipient, amount_atto))

    def attest(self, guardian: str, statement: Statement) -> str:
        return self.send(guardian, bridge_attest(statement))

    def burned(self, form: str, units: int, name: str = "bob") -> Statement:
        """Lock enough as alice, mint it abroad, and burn it there for `name`."""
        foreign = self.foreign[form]
        assert self.lock("alice", form, units * (10**10 if form == BEP2 else 1)) == ""
        foreign.mint(self.bridge.next_lock - 1, self.state)
        return foreign.burn(ABROAD, units, account(name))

    @property
    def bridge(self) -> Bridge:
        return Bridge.decode(self.state.entries[BRIDGE_KEY])

    def bridged(self, form: str) -> int:
        supply = self.supply()
        return supply.bridged_bep2_atto if form == BEP2 else supply.bridged_erc20_atto

    def said(self, guardian: str) -> list[Statement]:
        data = self.state.get(said_key(account(guardian)))
        return [] if data is None else [statement for statement, _ in Said.decode(data).statements]

    def release(self, statement: Statement) -> Release | None:
        data = self.state.get(release_key(statement.form, statement.burn))
        return None if data is None else Release.decode(data)
