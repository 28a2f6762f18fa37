"""What every command that sends a transaction does: sign it once, send it, follow it to its proven end, tell of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chain.errors import Refused, Unavailable
from dccn.output import emit, note
from dccn.wallets import book_in, chain_at, outbox_in, unlock

if TYPE_CHECKING:
    from chain.crypto.keys import PrivateKey
    from chain.wallet.client import ChainClient
    from chain.wallet.outbox import Outbox
    from chain.wallet.settlement import TransactionStatus
    from chain.wire.transactions import Content, Transaction

From = Annotated[str, typer.Argument(metavar="FROM", help="The wallet that signs and pays, by name.")]
Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Decimal ANKR, such as 12.5.")]
Fee = Annotated[str | None, typer.Option(help="Decimal ANKR. [default: the least that the chain takes]")]
Timeout = Annotated[float, typer.Option(min=0, max=86_400, help="Seconds to wait for the proof of its end.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until a block holds it and its result is proven.")]
TIMEOUT_S = 60.0
POLL_S = 0.2


def sign_and_send(
    client: ChainClient,
    outbox: Outbox,
    key: PrivateKey,
    content: Content,
    *,
    spends: int = 0,
    fee: int | None = None,
    once: str | None = None,
    settle: bool = True,
) -> Transaction:
    """Sign `content` as the key's account, write it down, broadcast it; returns what was signed, now or earlier.

    `spends` atto must be there besides the fee. Under `once` the very same transaction goes out again, never another.
    With `settle` the caller goes on to the end of a transaction that was sent before, also if the node refuses it now.
    """
    from chain.crypto.address import address
    from chain.wallet.outbox import Sent, same_payment

    account = address(key.public)
    with outbox.alone():
        proven = client.account(account)
        nonce = outbox.next_nonce(account, client.chain_id, proven.value.nonce, proven.height)
        unsigned = client.build(key.public, content, nonce=nonce, fee=fee)
        before = None if once is None else outbox.paid_under(once, client.chain_id)
        if before is not None:
            signed = same_payment(before, unsigned).transaction
        else:
            client.check_funds(unsigned, spends)
            signed = client.sign(key, unsigned)
            outbox.put(Sent(client.chain_id, signed, once))
    try:
        client.send(signed)
    except Refused:
        if before is None:
            outbox.forget(signed.hash)
        if before is None or not settle:
            raise
    except Unavailable:
        note(f"dccn: {signed.hash.hex()} is signed and may have arrived; dccn tx wait {signed.hash.hex()} goes on.")
        raise
    return signed


@dataclass(frozen=True, slots=True)
class Paying:
    """What every command has that sends something from a wallet: whose it is, and the options of all of them."""

    sender: str
    fee: str | None
    wait: bool
    timeout_s: float
    password_file: str | None
    rpc: str
    trust: str | None
    wallet: Path | None
    as_json: bool

    def resolve(self, who: str) -> bytes:
        """The address of an address or of a wallet's name."""
        return book_in(self.wallet).resolve(who)

    def _sent(self, content: Content, spends: int) -> tuple[ChainClient, Transaction]:
        """`spends` atto must be there besides the fee."""
        from chain.wire.amounts import parse_ankr

        fee_atto = None if self.fee is None else parse_ankr(self.fee)
        key = unlock(book_in(self.wallet), self.sender, self.password_file).key
        client = chain_at(self.rpc, self.trust, self.wallet)
        return client, sign_and_send(client, outbox_in(self.wallet), key, content, spends=spends, fee=fee_atto)

    def send(
        self, content: Content, spends: int = 0, made: Callable[[Transaction], Mapping[str, str]] | None = None
    ) -> None:
        """Sign, send, follow to the proven end, and tell; `made` names what the transaction makes, by its bytes."""
        client, signed = self._sent(content, spends)
        finish(client, signed, self.wait, self.timeout_s, self.as_json, made(signed) if made else None)


def finish(
    client: ChainClient,
    signed: Transaction,
    wait: bool,
    timeout_s: float,
    as_json: bool,
    made: Mapping[str, str] | None = None,
) -> None:
    """Wait if wanted, and tell; without waiting, being taken by the node is success. `made` is told besides."""
    if wait:
        report(client, client.wait(signed, timeout_s), signed, as_json, made)
        return
    result = {"ok": True, "hash": signed.hash.hex(), "state": "sent", **told(signed), **(made or {})}
    emit(result, f"sent {signed.hash.hex()}; dccn tx wait {signed.hash.hex()} tells its end", as_json=as_json)


def report(
    client: ChainClient,
    found: TransactionStatus,
    signed: Transaction | None,
    as_json: bool,
    made: Mapping[str, str] | None = None,
) -> None:
    """Print what is proven; exit code 1 unless the transaction did what it says."""
    transaction = found.transaction or signed
    result = {**described(client, found, transaction), **(made or {})}
    where = f" at height {found.height}" if found.height else ""
    why = f": {found.code_name}: {found.log}" if found.code_name else ""
    lines = [f"{found.state}{where}{why}  {found.hash.hex()}"]
    lines += [f"  {label:<20} {value}" for label, value in (told(transaction) if transaction else {}).items()]
    lines += [f"  {label:<20} {value}" for label, value in (made or {}).items()]
    emit(result, "\n".join(lines), as_json=as_json)
    if not result["ok"]:
        raise typer.Exit(1)


def described(client: ChainClient, found: TransactionStatus, transaction: Transaction | None) -> dict[str, Any]:
    """What is proven of a transaction, for scripts."""
    return {
        "ok": found.state == "committed",
        "hash": found.hash.hex(),
        "state": found.state,
        "height": found.height,
        "index": found.index,
        "code": found.code_name or None,
        "log": found.log,
        **(told(transaction) if transaction else {}),
        "trusted": client.trusted,
    }


def told(transaction: Transaction) -> dict[str, Any]:
    """A transaction in words, read from its bytes and from nothing else."""
    from chain.crypto import address
    from chain.wire.bodies import read_transfer
    from chain.wire.kinds import BOND, UNBOND
    from chain.wire.staking import read_bond, read_unbond
    from chain.wire.transactions import TRANSFER, TYPES, format_ankr

    shown: dict[str, Any] = {
        "type": TYPES.get(transaction.type, str(transaction.type)),
        "from": address.encode(address.address(transaction.sender)),
    }
    if transaction.type == TRANSFER:
        to, amount = read_transfer(transaction.body)
        shown |= {"to": address.encode(to), "amount": format_ankr(amount)}
    elif transaction.type == BOND:
        shown |= {"amount": format_ankr(read_bond(transaction.body).amount)}
    elif transaction.type == UNBOND:
        shown |= {"amount": format_ankr(read_unbond(transaction.body))}
    shown |= {"fee": format_ankr(transaction.fee), "nonce": transaction.nonce}
    if transaction.fee_payer is not None:
        shown["fee_payer"] = address.encode(address.address(transaction.fee_payer))
    return shown | {"valid_until_height": transaction.valid_until_height}
