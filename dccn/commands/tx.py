"""`dccn tx`: pay, and learn for certain what became of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chain.errors import Malformed, Refused, Unavailable
from dccn.output import Json, emit, hex_bytes, note, read_json
from dccn.wallets import (
    DEFAULT_NODE,
    PasswordFile,
    Rpc,
    Somebody,
    TrustedHeader,
    WalletHome,
    book_in,
    chain_at,
    outbox_in,
    unlock,
)

if TYPE_CHECKING:
    from chain.wallet.client import ChainClient
    from chain.wallet.settlement import TransactionStatus
    from chain.wire.transactions import Transaction

app = typer.Typer(
    no_args_is_help=True,
    help="Send ANKR, and follow a transaction until its end is proven. Sign elsewhere with prepare, sign, broadcast.",
)

From = Annotated[str, typer.Argument(metavar="FROM", help="The wallet that pays, by name.")]
Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Decimal ANKR, such as 12.5.")]
Fee = Annotated[str | None, typer.Option(help="Decimal ANKR. [default: the least that the chain takes]")]
Hash = Annotated[str, typer.Argument(metavar="HASH", help="64 hex digits.")]
Timeout = Annotated[float, typer.Option(min=0, max=86_400, help="Seconds to wait for the proof of its end.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until a block holds it and its result is proven.")]
TIMEOUT_S = 60.0


@app.command()
def send(
    sender: From,
    to: Somebody,
    amount: Amount,
    fee: Fee = None,
    once: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Pay at most once under this key: run it again after a crash, safely."),
    ] = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Send ANKR from a wallet to an address or a wallet."""
    from chain.wire.transactions import parse_ankr, transfer

    book = book_in(wallet)
    recipient, atto = book.resolve(to), parse_ankr(amount)
    fee_atto = None if fee is None else parse_ankr(fee)
    secret = unlock(book, sender, password_file)
    client = chain_at(rpc, trust, wallet)
    outbox = outbox_in(wallet)
    with outbox.alone():
        from chain.wallet.outbox import Sent, same_payment

        account = book.get(sender).address
        proven = client.account(account)
        nonce = outbox.next_nonce(account, client.chain_id, proven.value.nonce, proven.height)
        unsigned = client.build(secret.key.public, transfer(recipient, atto), nonce=nonce, fee=fee_atto)
        before = None if once is None else outbox.paid_under(once, client.chain_id)
        if before is not None:
            signed = same_payment(before, unsigned).transaction
        else:
            client.check_funds(unsigned, atto)
            signed = client.sign(secret.key, unsigned)
            outbox.put(Sent(client.chain_id, signed, once))
    try:
        client.send(signed)
    except Refused:
        if before is None:
            outbox.forget(signed.hash)
        if before is None or not wait:
            raise
    except Unavailable:
        note(f"dccn: {signed.hash.hex()} is signed and may have arrived; dccn tx wait {signed.hash.hex()} goes on.")
        raise
    finish(client, signed, wait, timeout, as_json)


@app.command()
def prepare(
    sender: Annotated[
        str, typer.Argument(metavar="FROM", help="The paying wallet; watched with its public key is enough.")
    ],
    to: Somebody,
    amount: Amount,
    fee: Fee = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Print an unsigned transaction and the bytes to sign, for a machine or a device that has the key."""
    from chain.wire.transactions import parse_ankr, transfer

    book = book_in(wallet)
    public = book.get(sender).public
    if public is None:
        raise Refused(
            "wallet_watch_only", f"{sender} is watched by address; watch it by its public key to prepare payments"
        )
    recipient, atto = book.resolve(to), parse_ankr(amount)
    client = chain_at(rpc, trust, wallet)
    unsigned = client.build(public, transfer(recipient, atto), fee=None if fee is None else parse_ankr(fee))
    client.check_funds(unsigned, atto)
    envelope = envelope_of(client.chain_id, unsigned)
    emit(envelope, json.dumps(envelope, indent=2), as_json=as_json)


@app.command(name="sign")
def sign_(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="What dccn tx prepare printed.")],
    signer: Annotated[str, typer.Argument(metavar="WALLET", help="The wallet whose key signs.")],
    password_file: PasswordFile = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Sign a prepared transaction; needs no network. What is signed is told on stderr."""
    from dataclasses import replace

    chain_id, unsigned = read_envelope(source)
    for label, value in told(unsigned).items():
        note(f"{label:<20} {value}")
    note(f"{'chain':<20} {chain_id}")
    secret = unlock(book_in(wallet), signer, password_file)
    if secret.key.public != unsigned.sender:
        raise Refused("tx_unauthorised", f"the transaction names another sender than {signer}")
    signed = replace(unsigned, signature=secret.key.sign(unsigned.sign_bytes(chain_id)))
    envelope = envelope_of(chain_id, signed)
    emit(envelope, json.dumps(envelope, indent=2), as_json=as_json)


@app.command()
def broadcast(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="What dccn tx prepare or sign printed.")],
    signature: Annotated[
        str | None, typer.Option(metavar="HEX", help="The 64 bytes of a device that signed the sign bytes.")
    ] = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Send a signed transaction; doing it again does no harm."""
    from dataclasses import replace

    from chain.wallet.outbox import Sent

    chain_id, signed = read_envelope(source)
    if signature is not None:
        signed = replace(signed, signature=hex_bytes(signature, "--signature", 64))
    if not signed.verify(chain_id):
        raise Refused("bad_signature", f"the transaction in {source} is not signed by its sender")
    client = chain_at(rpc, trust, wallet)
    if client.chain_id != chain_id:
        raise Refused("tx_unauthorised", f"signed for chain {chain_id}, the node follows {client.chain_id}")
    client.send(signed)
    outbox_in(wallet).put(Sent(chain_id, signed, None))
    finish(client, signed, wait, timeout, as_json)


@app.command()
def show(
    tx_hash: Hash,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Show a transaction and its result, both proven; exits 1 while no block holds it."""
    client = chain_at(rpc, trust, wallet)
    report(client, client.status(hex_bytes(tx_hash, "HASH", 32)), None, as_json)


@app.command()
def wait(
    tx_hash: Hash,
    timeout: Timeout = TIMEOUT_S,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Wait for the end of a transaction; one that was sent from here is sent again if the node lost it."""
    from time import monotonic, sleep

    wanted = hex_bytes(tx_hash, "HASH", 32)
    client = chain_at(rpc, trust, wallet)
    sent = outbox_in(wallet).get(wanted)
    if sent is not None and sent.chain_id == client.chain_id:
        finish(client, sent.transaction, True, timeout, as_json)
        return
    deadline = monotonic() + timeout
    found = client.status(wanted)
    while not found.final and monotonic() < deadline:
        sleep(POLL_S)
        found = client.status(wanted)
    report(client, found, None, as_json)


POLL_S = 0.2


def finish(client: ChainClient, signed: Transaction, wait: bool, timeout_s: float, as_json: bool) -> None:
    """Wait if wanted, and tell; without waiting, being taken by the node is success."""
    if wait:
        report(client, client.wait(signed, timeout_s), signed, as_json)
        return
    result = {"ok": True, "hash": signed.hash.hex(), "state": "sent", **told(signed)}
    emit(result, f"sent {signed.hash.hex()}; dccn tx wait {signed.hash.hex()} tells its end", as_json=as_json)


def report(client: ChainClient, found: TransactionStatus, signed: Transaction | None, as_json: bool) -> None:
    """Print what is proven; exit code 1 unless the transaction did what it says."""
    transaction = found.transaction or signed
    result = {
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
    where = f" at height {found.height}" if found.height else ""
    why = f": {found.code_name}: {found.log}" if found.code_name else ""
    lines = [f"{found.state}{where}{why}  {found.hash.hex()}"]
    lines += [f"  {label:<20} {value}" for label, value in (told(transaction) if transaction else {}).items()]
    emit(result, "\n".join(lines), as_json=as_json)
    if not result["ok"]:
        raise typer.Exit(1)


def told(transaction: Transaction) -> dict[str, Any]:
    """A transaction in words, read from its bytes and from nothing else."""
    from chain.crypto import address
    from chain.wire.bodies import read_transfer
    from chain.wire.transactions import TRANSFER, TYPES, format_ankr

    shown: dict[str, Any] = {
        "type": TYPES.get(transaction.type, str(transaction.type)),
        "from": address.encode(address.address(transaction.sender)),
    }
    if transaction.type == TRANSFER:
        to, amount = read_transfer(transaction.body)
        shown |= {"to": address.encode(to), "amount": format_ankr(amount)}
    shown |= {"fee": format_ankr(transaction.fee), "nonce": transaction.nonce}
    if transaction.fee_payer is not None:
        shown["fee_payer"] = address.encode(address.address(transaction.fee_payer))
    return shown | {"valid_until_height": transaction.valid_until_height}


def envelope_of(chain_id: str, transaction: Transaction) -> dict[str, Any]:
    """A transaction on its way between machines; only `chain_id` and `transaction` are read back."""
    return {
        "dccn_transaction": 1,
        "chain_id": chain_id,
        "transaction": transaction.encode().hex(),
        "sign_bytes": transaction.sign_bytes(chain_id).hex(),
        "signed": bool(transaction.signature),
        **told(transaction),
    }


def read_envelope(source: str) -> tuple[str, Transaction]:
    """Everything but chain id and transaction is only for people, and not believed."""
    from chain.wire.transactions import decode

    envelope = read_json(source)
    chain_id, raw = envelope.get("chain_id"), envelope.get("transaction")
    if envelope.get("dccn_transaction") != 1 or not isinstance(chain_id, str) or not isinstance(raw, str):
        raise Malformed("malformed", f"{source!r} is not what dccn tx prepare prints")
    return chain_id, decode(hex_bytes(raw, f"transaction in {source!r}"))
