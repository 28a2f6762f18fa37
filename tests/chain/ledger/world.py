"""A ledger in a dictionary with four operators, one hub and as many people as a test wants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

from chain.crypto.address import address, validator_address
from chain.crypto.keys import PrivateKey
from chain.ledger.block import FLAG_COMMIT
from chain.ledger.genesis import Genesis, build_demo_app_state
from chain.ledger.machine import BlockInput, BlockOutput, execute_block, init_chain
from chain.ledger.parameters import SUPPLY_ATTO, Parameters
from chain.ledger.recount import recount
from chain.ledger.supply import total_supply
from chain.wire.bodies import BatchEntry, ProofBatch
from chain.wire.state import Account, Supply, account_key
from chain.wire.transactions import (
    ANKR,
    Content,
    Transaction,
    device_register,
    device_register_bytes,
    proof_batch,
    sign,
    sponsor,
)

CHAIN = "dccn-test"
GENESIS_NS = 1_700_000_000 * 10**9
SECOND_NS = 10**9
FEE = 5 * ANKR


class DictState:
    """The `State` protocol over a dictionary."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}
        self.writes = 0

    def get(self, key: bytes) -> bytes | None:
        return self.entries.get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        self.writes += 1
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value


def key(name: str, algorithm: str = "ed25519") -> PrivateKey:
    """Everybody's key follows from the name."""
    return PrivateKey.from_secret(algorithm, sha256(name.encode()).digest())  # type: ignore[arg-type]


def account(name: str) -> bytes:
    return address(key(name).public)


class World:
    """A chain that a test drives block by block; after every block the supply is counted anew."""

    def __init__(
        self,
        parameters: Parameters | None = None,
        grants: Iterable[tuple[str, int]] = (),
        operators: int = 4,
        check_supply: bool = True,
    ) -> None:
        self.parameters = parameters or Parameters.demo()
        self.operators = [f"operator-{number}" for number in range(1, operators + 1)]
        self.hub = key("hub")
        rows = [(name, key(name).public, key(f"{name} consensus").public.x, bytes(32)) for name in self.operators]
        rows = [(name, owner, consensus, sha256(consensus).digest()) for name, owner, consensus, _ in rows]
        app_state = build_demo_app_state(
            address(self.hub.public), rows, self.parameters, [(account(name), amount) for name, amount in grants]
        )
        self.genesis = Genesis.parse(CHAIN, GENESIS_NS, app_state)
        self.state = DictState()
        self.check_supply = check_supply
        init_chain(self.state, self.genesis)
        self.height, self.time_ns = 0, GENESIS_NS

    # Blocks

    def block_input(self, transactions: Iterable[bytes | Transaction] = (), after_s: int = 0) -> BlockInput:
        """The next block, `after_s` seconds later, with everybody's precommits."""
        height = self.height + 1
        raw = tuple(item if isinstance(item, bytes) else item.encode() for item in transactions)
        flags = tuple((self.validator(name), FLAG_COMMIT) for name in self.operators) if height > 1 else ()
        return BlockInput(
            chain_id=CHAIN,
            height=height,
            time_ns=self.time_ns + after_s * SECOND_NS,
            proposer=self.validator(self.operators[height % len(self.operators)]),
            precommits=flags,
            beacon=sha256(b"beacon" + height.to_bytes(8, "big")).digest(),
            transactions=raw,
        )

    def run(self, block: BlockInput) -> BlockOutput:
        output = execute_block(self.state, block)
        self.height, self.time_ns = block.height, block.time_ns
        if self.check_supply:
            assert total_supply(self.state) == SUPPLY_ATTO
            assert recount(self.state.entries.items()) == self.supply()
        return output

    def block(self, *transactions: bytes | Transaction, after_s: int = 0) -> BlockOutput:
        return self.run(self.block_input(transactions, after_s))

    def next_epoch(self, *transactions: bytes | Transaction) -> BlockOutput:
        """A block exactly at the start of the next reward epoch."""
        epoch_ns = self.parameters.reward_epoch_s * SECOND_NS
        into_ns = (self.time_ns - GENESIS_NS) % epoch_ns
        block = self.block_input(transactions)
        return self.run(replace(block, time_ns=self.time_ns - into_ns + epoch_ns))

    @property
    def epoch(self) -> int:
        return (self.time_ns - GENESIS_NS) // (self.parameters.reward_epoch_s * SECOND_NS)

    # Reading

    def validator(self, operator: str) -> bytes:
        return validator_address(key(f"{operator} consensus").public.x)

    def account(self, name: str) -> Account:
        data = self.state.get(account_key(account(name)))
        return Account(0, 0) if data is None else Account.decode(data)

    def balance(self, name: str) -> int:
        return self.account(name).balance_atto

    def supply(self) -> Supply:
        data = self.state.get(b"supply")
        assert data is not None
        return Supply.decode(data)

    # Transactions

    def sign(self, name: str, content: Content, *, ahead: int = 0, fee: int = FEE, **options: object) -> Transaction:
        nonce = options.pop("nonce", None)
        used = self.account(name).nonce + ahead if nonce is None else nonce
        return sign(key(name), CHAIN, content, nonce=used, fee=fee, **options)  # type: ignore[arg-type]

    def register(self, owner: str, device: str, *, algorithm: str = "ed25519", ahead: int = 0) -> Transaction:
        """A registration that the hub pays for."""
        device_key = key(device, algorithm)
        signature = device_key.sign(device_register_bytes(CHAIN, account(owner), device_key.public))
        content = device_register(device_key.public, signature)
        return sponsor(self.sign(owner, content, ahead=ahead, fee_payer=self.hub.public), self.hub, CHAIN)

    def batch(self, epoch: int, *entries: BatchEntry, hub: str = "hub", ahead: int = 0) -> Transaction:
        """The hub's report on `epoch`."""
        total = sum(entry.work for entry in entries)
        root = sha256(repr((epoch, entries)).encode()).digest()
        batch = ProofBatch(account(hub), "work", epoch, root, 10, 2_000, total, None, entries)
        return self.sign(hub, proof_batch(batch), ahead=ahead)


def perfect(owner: str, work: int = 20_000, records: int = 3, pog: int = 1) -> BatchEntry:
    """A reward epoch without a miss."""
    return BatchEntry(account(owner), records, records, pog, 0, None, work)
