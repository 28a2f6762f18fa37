"""A client of the chain for programs and commands: every answer proven, every payment sent at most once.

```python
client = ChainClient("http://127.0.0.1:26657", Trust.parse("4711:9f2c…"))
client.balance(account)                                  # atto, proven against a verified header
paid = client.transfer(key, to, 5 * ANKR)                # signed here, broadcast
client.wait(paid).state                                  # "committed", proven with its result
```
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from chain.crypto.address import address
from chain.crypto.keys import PrivateKey, PublicKey
from chain.errors import Refused
from chain.light.client import LightClient
from chain.light.inclusion import verified_state
from chain.light.rpc import RpcClient
from chain.wallet import settlement
from chain.wallet.settlement import Pacing, TransactionStatus
from chain.wallet.trust import Trust, light_client
from chain.wire.cometbft import ValidatorSet
from chain.wire.deals import Deal, deal_key
from chain.wire.governance import UPGRADE_KEY, Upgrade
from chain.wire.operators import (
    OPERATORS_KEY,
    SEATS_KEY,
    STAKE_KEY,
    Operator,
    Operators,
    Seat,
    Seats,
    Stake,
    Unbonding,
    Validator,
    operator_key,
    unbonding_key,
    validator_key,
)
from chain.wire.payments import Multisig, OpenSpend, multisig_key, spend_key
from chain.wire.state import (
    CLOCK_KEY,
    PARAMETERS_KEY,
    SUPPLY_KEY,
    Account,
    Clock,
    Device,
    Entry,
    EpochSummary,
    RevokedDevice,
    Reward,
    ServiceLevel,
    Supply,
    account_key,
    decode_parameters,
    device_key,
    epoch_key,
    required_fee,
    revoked_key,
    reward_key,
    service_key,
)
from chain.wire.transactions import Content, Transaction, sign, transfer

RPC_TIMEOUT_S = 10.0
VALID_FOR_HEIGHTS = 600
"""How long a transaction may wait by default: after that many blocks it is certain that it will never be in one."""

SIGNATURES_BYTES = 160
"""What two signatures and a larger fee may add to the bytes that the fee is computed from."""

T = TypeVar("T")
E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Proven(Generic[T]):
    """A value as it stood after the block of `height`, proven under the app hash of the next header."""

    value: T
    height: int


class ChainClient:
    """One node, asked and never believed. Every query raises Unavailable `unreachable`, Refused `proof_invalid`,
    `light_invalid` or `light_expired`. Without `trust` the newest header that the node shows is believed once, and
    remembered in `memory` if that is given; `own_word` tells. `tls` is as for `RpcClient`.
    """

    def __init__(
        self,
        rpc_url: str,
        trust: Trust | None = None,
        *,
        memory: Path | None = None,
        pacing: Pacing | None = None,
        tls: ssl.SSLContext | None = None,
        now_s: Callable[[], float] = time.monotonic,
        sleep_s: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rpc = RpcClient(rpc_url, RPC_TIMEOUT_S, tls)
        trusted = light_client(self.rpc, trust, memory)
        self.light: LightClient = trusted.client
        self.trusted = trusted.note
        self.own_word = trusted.own_word
        self._pacing = pacing or Pacing()
        self._now_s = now_s
        self._sleep_s = sleep_s
        self._used: dict[bytes, int] = {}  # the next nonce of accounts that this client signed for

    @property
    def chain_id(self) -> str:
        return self.light.chain_id

    # What the chain holds

    def account(self, account: bytes) -> Proven[Account]:
        """Balance and next nonce; an address that was never used has nothing and nonce 0."""
        found = self._entry(account_key(account), Account)
        return Proven(found.value or Account(0, 0), found.height)

    def balance(self, account: bytes) -> int:
        """In atto."""
        return self.account(account).value.balance_atto

    def nonce(self, account: bytes) -> int:
        """What the account's next transaction must carry, as the chain has it."""
        return self.account(account).value.nonce

    def reward(self, account: bytes) -> Proven[Reward | None]:
        return self._entry(reward_key(account), Reward)

    def service_level(self, owner: bytes) -> Proven[ServiceLevel | None]:
        return self._entry(service_key(owner), ServiceLevel)

    def device(self, device: bytes) -> Proven[Device | None]:
        """By the device's id of 32 bytes."""
        return self._entry(device_key(device), Device)

    def supply(self) -> Proven[Supply]:
        return self._present(self._entry(SUPPLY_KEY, Supply), "supply")

    def clock(self) -> Proven[Clock]:
        return self._present(self._entry(CLOCK_KEY, Clock), "clock")

    def epoch(self, reward_epoch: int) -> Proven[EpochSummary | None]:
        """What the end of that reward epoch shared out; None before it, and when it is too long ago."""
        return self._entry(epoch_key(reward_epoch), EpochSummary)

    def parameters(self) -> Proven[dict[str, int]]:
        value, height = verified_state(self.light, PARAMETERS_KEY)
        if value is None:
            raise Refused("proof_invalid", f"at height {height} the chain has no parameters")
        return Proven(decode_parameters(value), height)

    def upgrade(self) -> Proven[Upgrade | None]:
        """From which height on other rules hold, or have held; None while those of the first chain are all there is."""
        return self._entry(UPGRADE_KEY, Upgrade)

    def validators(self, height: int | None = None) -> Proven[ValidatorSet]:
        """Who signs the blocks of `height` (default: the newest), proven by validators_hash of its header."""
        header = self.light.update() if height is None else self.light.header(height)
        found = self.rpc.validators(header.height)
        if found.hash() != header.validators_hash:
            raise Refused("proof_invalid", f"the validators of height {header.height} are not those of its header")
        return Proven(found, header.height)

    def operator(self, account: bytes) -> Proven[Operator | None]:
        """Name, bond, jail and keys of whoever has bonded; None for an account that never did."""
        return self._entry(operator_key(account), Operator)

    def operators(self) -> Proven[tuple[bytes, ...]]:
        """The addresses of all that votes and elections look at: a key, the least bond, not tombstoned."""
        found = self._entry(OPERATORS_KEY, Operators)
        return Proven(() if found.value is None else found.value.addresses, found.height)

    def seats(self) -> Proven[tuple[Seat, ...]]:
        """The keys that the last election seated, longest-seated first."""
        found = self._entry(SEATS_KEY, Seats)
        return Proven(() if found.value is None else found.value.seats, found.height)

    def validator(self, validator: bytes) -> Proven[Validator | None]:
        """Whose key signs under this validator address (20 bytes)."""
        return self._entry(validator_key(validator), Validator)

    def unbonding(self, number: int) -> Proven[Unbonding | None]:
        """Stake on its way back, by its number in the operator's entry."""
        return self._entry(unbonding_key(number), Unbonding)

    def stake(self) -> Proven[Stake]:
        """The bonds of all listed operators together."""
        found = self._entry(STAKE_KEY, Stake)
        return Proven(found.value or Stake(0), found.height)

    def deal(self, deal: bytes) -> Proven[Deal | None]:
        """Escrow, metered use and payments of a deal, by its id of 32 bytes."""
        return self._entry(deal_key(deal), Deal)

    def multisig(self, account: bytes) -> Proven[Multisig | None]:
        """Members, threshold, limit and the numbers of the open spends; None for an ordinary account."""
        return self._entry(multisig_key(account), Multisig)

    def open_spend(self, account: bytes, number: int) -> Proven[OpenSpend | None]:
        """A spend of a multisig account that waits for more members."""
        return self._entry(spend_key(account, number), OpenSpend)

    def revoked_device(self, device: bytes) -> Proven[RevokedDevice | None]:
        """The device as it was when it was last revoked; None if it never was."""
        return self._entry(revoked_key(device), RevokedDevice)

    def _entry(self, key: bytes, kind: type[E]) -> Proven[E | None]:
        value, height = verified_state(self.light, key)
        return Proven(None if value is None else kind.decode(value), height)

    @staticmethod
    def _present(found: Proven[T | None], what: str) -> Proven[T]:
        if found.value is None:
            raise Refused("proof_invalid", f"at height {found.height} the chain has no {what}")
        return Proven(found.value, found.height)

    # Transactions

    def fee(self, content: Content, sender: PublicKey) -> int:
        """The least fee in atto that the chain takes for such a transaction."""
        kind, body = content
        sketch = Transaction(kind, sender, (1 << 64) - 1, 0, (1 << 64) - 1, body, None, b"", None)
        return required_fee(len(sketch.encode()) + SIGNATURES_BYTES, self.parameters().value)

    def build(
        self,
        sender: PublicKey,
        content: Content,
        *,
        nonce: int | None = None,
        fee: int | None = None,
        valid_until_height: int | None = None,
        fee_payer: PublicKey | None = None,
    ) -> Transaction:
        """An unsigned transaction of any type; what is not given is what the chain asks for now."""
        account = address(sender)
        proven = self.account(account)
        kind, body = content
        return Transaction(
            kind,
            sender,
            max(proven.value.nonce, self._used.get(account, 0)) if nonce is None else nonce,
            self.fee(content, sender) if fee is None else fee,
            proven.height + VALID_FOR_HEIGHTS if valid_until_height is None else valid_until_height,
            body,
            fee_payer,
            b"",
            None if fee_payer is None else b"",
        )

    def sign(self, key: PrivateKey, unsigned: Transaction) -> Transaction:
        """The same with its sender's signature, and its nonce counted as used."""
        signed = sign(
            key,
            self.chain_id,
            (unsigned.type, unsigned.body),
            nonce=unsigned.nonce,
            fee=unsigned.fee,
            valid_until_height=unsigned.valid_until_height,
            fee_payer=unsigned.fee_payer,
        )
        if signed.sender != unsigned.sender:
            raise Refused("tx_unauthorised", "the transaction names another sender than the key that should sign it")
        self._used[address(signed.sender)] = signed.nonce + 1
        return signed

    def transfer(self, key: PrivateKey, to: bytes, amount: int, *, fee: int | None = None) -> Transaction:
        """Build, sign and broadcast a payment of `amount` atto; Refused `tx_insufficient_funds` before it is signed."""
        unsigned = self.build(key.public, transfer(to, amount), fee=fee)
        self.check_funds(unsigned, amount)
        signed = self.sign(key, unsigned)
        self.send(signed)
        return signed

    def check_funds(self, unsigned: Transaction, amount: int) -> None:
        """Refused `tx_insufficient_funds` when the sender's proven balance covers less than amount and fee."""
        settlement.check_funds(self.account(address(unsigned.sender)).value.balance_atto, unsigned, amount)

    def send(self, signed: Transaction) -> bytes:
        """Broadcast; returns the hash. Sending the same bytes again does no harm: a chain takes a nonce once.

        Refused with the code of CheckTx, unless a block holds the transaction already.
        """
        return settlement.send(self.rpc, self.light, signed)

    def status(self, tx_hash: bytes) -> TransactionStatus:
        """What is proven of a transaction: in a block or not, and what became of it."""
        return settlement.status(self.rpc, self.light, tx_hash)

    def wait(self, signed: Transaction, timeout_s: float = 60.0) -> TransactionStatus:
        """Until the transaction's end is proven, broadcasting again on the way; state "waiting" after `timeout_s`."""

        def nonce_at(account: bytes) -> tuple[int, int]:
            found = self.account(account)
            return found.value.nonce, found.height

        pacing = self._pacing
        return settlement.wait(self.rpc, self.light, nonce_at, signed, timeout_s, pacing, self._now_s, self._sleep_s)

    def close(self) -> None:
        self.rpc.close()
