"""One owner against the ledger: the same life lived honestly and with a strategy, and what the strategy brought.

The ledger is the real one, with production's emission and fees and a challenge window of one epoch. The hub is honest:
it reports the work that was done, meters what was used, and closes a deal as what it was. All else is the owner's to
choose: how many accounts it is, what it buys from itself and from competitors, how it rates, pays around and donates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chain.ledger.parameters import Parameters
from chain.slsbft import weight
from chain.wire.deals import DONE, FAILED, DealOpen, deal_id, deal_open, deal_settle, metering_batch, rate
from chain.wire.operators import Operator, operator_key
from chain.wire.payments import donation
from chain.wire.staking import Registration, bond
from chain.wire.state import ServiceLevel, service_key
from chain.wire.transactions import ANKR, Content, transfer
from tests.chain.ledger.world import World, account, perfect

RICHES = 5_000_000
BOND = 200_000
ALL_WORK = 1_000_000
"""Micro-ANKR per hour of everybody together: some fifty machines."""

ACTIVE_EPOCHS, ALL_EPOCHS = 4, 10
"""How long the strategy is followed, and how long its fruits are counted."""

PRODUCTION = replace(Parameters(), challenge_window_epochs=1)
COMPETITORS = ("north", "south")


@dataclass(frozen=True, slots=True)
class Strategy:
    """What the owner does in each of its active epochs. Amounts are whole ANKR."""

    accounts: int = 1
    own_deals: int = 0
    deal_ankr: int = 1
    own_stars: int = 0
    own_failures: int = 0
    ruined_deals: int = 0  # bought from competitors
    ruined_fail: bool = False
    round_trips: int = 0
    donated_ankr: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """In atto: all that the owner has in the end. In permille of a million: its share of the election's weights."""

    wealth_atto: int
    weight_ppm: int


class Economy(World):
    """The owner has `share_permille` of all work, the competitors the rest; the owner's stake is bonded and aged."""

    def __init__(self, strategy: Strategy, share_permille: int) -> None:
        self.mine = [f"mine {number}" for number in range(strategy.accounts)]
        each = RICHES * ANKR // strategy.accounts
        grants = [(name, each) for name in self.mine] + [(name, RICHES * ANKR) for name in COMPETITORS]
        super().__init__(PRODUCTION, grants, check_supply=False)
        self.strategy = strategy
        own = ALL_WORK * share_permille // 1_000
        self.work = dict.fromkeys(self.mine, own // strategy.accounts)
        self.work |= {name: (ALL_WORK - own) // len(COMPETITORS) for name in COMPETITORS}
        self.block()
        registered = self.block(*(self.register(name, f"{name}'s machine") for name in self.work))
        assert all(result.ok for result in registered.results)
        bonds = dict.fromkeys(self.mine, BOND * ANKR // strategy.accounts) | dict.fromkeys(COMPETITORS, BOND * ANKR)
        self.settle({name: [bond(amount, Registration(name, None))] for name, amount in bonds.items()})

    def live(self) -> Outcome:
        for epoch in range(ALL_EPOCHS):
            report = [perfect(name, work, records=60) for name, work in self.work.items() if work]
            entries = sorted(report, key=lambda entry: entry.owner)
            if epoch < ACTIVE_EPOCHS:
                self.act()
            self.next_epoch()
            assert self.block(self.batch(epoch, *entries)).results[0].ok
        for _ in range(PRODUCTION.challenge_window_epochs + 2):
            self.next_epoch()
            self.block()
        return Outcome(sum(map(self.owned, self.mine)), self.weight_ppm())

    def act(self) -> None:
        """One epoch of the strategy. Deals are metered and closed by the hub in the block after, rated in the next."""
        s = self.strategy
        first, last = self.mine[0], self.mine[-1]
        amount = s.deal_ankr * ANKR
        opened: list[tuple[bytes, str, str, int]] = []  # deal, customer, outcome, stars
        contents: dict[str, list[Content]] = {name: [] for name in self.mine}

        def buy(provider: str, outcome: str, stars: int) -> None:
            identifier = deal_id(account(first), self.account(first).nonce + len(contents[first]))
            opened.append((identifier, first, outcome, stars))
            terms = DealOpen(account(provider), account(last), account("hub"), amount, 300, bytes(32))
            contents[first].append(deal_open(terms))

        for _ in range(s.own_deals):
            buy(last, DONE, s.own_stars)
        for _ in range(s.own_failures):
            buy(last, FAILED, 0)
        for number in range(s.ruined_deals):
            buy(COMPETITORS[number % 2], FAILED if s.ruined_fail else DONE, 1)
        contents[last] += [transfer(account(first), ANKR)] * s.round_trips
        if s.donated_ankr:
            contents[first].append(donation(s.donated_ankr * ANKR, None))
        self.settle(contents)
        if opened:
            meter = metering_batch(self.epoch, bytes(32), {identifier: amount for identifier, *_ in opened})
            self.settle({"hub": [meter, *(deal_settle(identifier, outcome) for identifier, _, outcome, _ in opened)]})
        self.settle({first: [rate(identifier, stars) for identifier, _, _, stars in opened if stars]})

    def settle(self, contents: dict[str, list[Content]]) -> None:
        signed = [self.sign(name, each, ahead=n) for name, many in contents.items() for n, each in enumerate(many)]
        if signed:
            assert [result.error for result in self.block(*signed).results if result.error] == []

    def owned(self, name: str) -> int:
        data = self.state.get(operator_key(account(name)))
        return self.balance(name) + (Operator.decode(data).bond_atto if data else 0)

    def weight_ppm(self) -> int:
        weights = {name: self.election_weight(name) for name in self.work}
        return 1_000_000 * sum(weights[name] for name in self.mine) // max(1, sum(weights.values()))

    def election_weight(self, name: str) -> int:
        level, operator = (self.state.get(key(account(name))) for key in (service_key, operator_key))
        if level is None or operator is None:
            return 0
        return weight(ServiceLevel.decode(level).proven_level, Operator.decode(operator).bond_atto)


def outcome(strategy: Strategy, share_permille: int) -> Outcome:
    return Economy(strategy, share_permille).live()
