"""`dccn tx`: pay, and learn for certain what became of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chain.errors import Malformed, Refused
from dccn.output import Json, emit, hex_bytes, note, read_input, read_json
from dccn.sending import (
    POLL_S,
    TIMEOUT_S,
    Amount,
    Fee,
    From,
    Paying,
    Timeout,
    Wait,
    finish,
    report,
    sign_and_send,
    told,
)
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
    from chain.wire.transactions import Transaction

app = typer.Typer(
    no_args_is_help=True,
    help="Send ANKR, and follow a transaction until its end is proven. Sign elsewhere with prepare, sign, broadcast.",
)

Hash = Annotated[str, typer.Argument(metavar="HASH", help="64 hex digits.")]


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
    content = transfer(recipient, atto)
    signed = sign_and_send(
        client, outbox_in(wallet), secret.key, content, spends=atto, fee=fee_atto, once=once, settle=wait
    )
    finish(client, signed, wait, timeout, as_json)


@app.command()
def send_many(
    sender: From,
    payments: Annotated[str, typer.Argument(metavar="FILE|-", help="A line for each: ADDRESS|NAME,AMOUNT.")],
    fee: Fee = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Send to up to 1 000 recipients in one transaction: all are paid, or none."""
    from chain.wire.payments import multi_send

    paying = Paying(sender, fee, wait, timeout, password_file, rpc, trust, wallet, as_json)
    rows = read_payments(payments, paying)
    paying.send(multi_send(rows), sum(atto for _, atto in rows))


@app.command()
def donate(
    sender: From,
    amount: Amount,
    memo: Annotated[str | None, typer.Option(help="A few words that stay on the chain.")] = None,
    fee: Fee = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Give to the reward pool, which the next reward epoch shares out."""
    from chain.wire.payments import donation
    from chain.wire.transactions import parse_ankr

    atto = parse_ankr(amount)
    paying = Paying(sender, fee, wait, timeout, password_file, rpc, trust, wallet, as_json)
    paying.send(donation(atto, memo), atto)


@app.command()
def release(
    sender: From,
    number: Annotated[int, typer.Argument(min=0, help="The vesting's number in the genesis document, from 0 on.")],
    fee: Fee = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Have what has vested paid out to whom the genesis names; anybody may."""
    from chain.wire.vesting import vesting_release

    paying = Paying(sender, fee, wait, timeout, password_file, rpc, trust, wallet, as_json)
    paying.send(vesting_release(number))


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


def read_payments(source: str, paying: Paying) -> list[tuple[bytes, int]]:
    """Recipients and amounts in atto; Malformed names the line that is wrong."""
    from chain.errors import DccnError
    from chain.wire.transactions import parse_ankr

    found = []
    for number, line in enumerate(read_input(source).decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        who, comma, amount = (part.strip() for part in line.partition(","))
        try:
            if not comma:
                raise Malformed("malformed", "there is no comma between address and amount")
            found.append((paying.resolve(who), parse_ankr(amount)))
        except DccnError as error:
            raise Malformed("malformed", f"{source}, line {number}: {error.message}") from None
    return found
