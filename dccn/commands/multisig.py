"""`dccn multisig`: an account of several, with a threshold and a daily limit: the note's treasury."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dccn.output import Json, emit
from dccn.sending import TIMEOUT_S, Amount, Fee, From, Paying, Timeout, Wait
from dccn.wallets import DEFAULT_NODE, PasswordFile, Rpc, Somebody, TrustedHeader, WalletHome, book_in, chain_at

app = typer.Typer(
    no_args_is_help=True,
    help="An account of several members: one may spend up to a daily limit, above it a threshold must agree.",
)

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The address of the multisig account.")]


@app.command()
def create(
    sender: From,
    members: Annotated[list[str], typer.Argument(metavar="MEMBER…", help="Addresses or names of wallets.")],
    threshold: Annotated[int, typer.Option(min=1, help="How many must agree above the daily limit.")],
    daily_limit: Annotated[str, typer.Option(metavar="ANKR", help="What one member may spend in a day of UTC.")] = "0",
    fee: Fee = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Make an account of several; its address is told, and follows from the sender and its nonce."""
    from chain.crypto.address import address, encode
    from chain.wire.payments import multisig_address, multisig_create
    from chain.wire.transactions import parse_ankr

    paying = Paying(sender, fee, wait, timeout, password_file, rpc, trust, wallet, as_json)
    content = multisig_create([paying.resolve(each) for each in members], threshold, parse_ankr(daily_limit))
    paying.send(content, made=lambda tx: {"account": encode(multisig_address(address(tx.sender), tx.nonce))})


@app.command()
def spend(
    sender: From,
    account: Account,
    to: Somebody,
    amount: Amount,
    fee: Fee = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Spend from the account: at once within the daily limit, else as a spend that waits for others."""
    from chain.wire.payments import multisig_spend
    from chain.wire.transactions import parse_ankr

    paying = Paying(sender, fee, wait, timeout, password_file, rpc, trust, wallet, as_json)
    paying.send(multisig_spend(paying.resolve(account), [(paying.resolve(to), parse_ankr(amount))]))


@app.command()
def approve(
    sender: From,
    account: Account,
    number: Annotated[int, typer.Argument(min=0, help="The spend's number, as dccn multisig show tells.")],
    fee: Fee = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Agree to a spend that waits; who makes the threshold has it paid."""
    from chain.wire.payments import multisig_approve

    paying = Paying(sender, fee, wait, timeout, password_file, rpc, trust, wallet, as_json)
    paying.send(multisig_approve(paying.resolve(account), number))


@app.command()
def show(
    account: Account,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Members, threshold, limit, and the spends that wait; every number proven."""
    from chain.crypto.address import encode
    from chain.errors import Refused
    from chain.wire.amounts import format_ankr

    client, address = chain_at(rpc, trust, wallet), book_in(wallet).resolve(account)
    found = client.multisig(address)
    if found.value is None:
        raise Refused("tx_not_registered", f"at height {found.height} {encode(address)} is no multisig account")
    policy = found.value
    waiting = {number: client.open_spend(address, number).value for number in policy.open}
    document: dict[str, Any] = {
        "ok": True,
        "account": encode(address),
        "members": [encode(member) for member in policy.members],
        "threshold": policy.threshold,
        "daily_limit": format_ankr(policy.daily_limit_atto),
        "balance": format_ankr(client.balance(address)),
        "waiting": [
            {
                "number": number,
                "payments": [{"to": encode(to), "amount": format_ankr(atto)} for to, atto in spend.payments],
                "approvals": [encode(member) for member in spend.approvals],
            }
            for number, spend in waiting.items()
            if spend is not None
        ],
        "verified_height": found.height,
    }
    lines = [
        f"balance      {document['balance']} ANKR",
        f"threshold    {policy.threshold} of {len(policy.members)}",
        f"alone a day  {document['daily_limit']} ANKR",
        *(f"member       {member}" for member in document["members"]),
        *(f"waits        {_told(one)}" for one in document["waiting"]),
    ]
    emit(document, "\n".join(lines), as_json=as_json)


def _told(waiting: dict[str, Any]) -> str:
    payments = ", ".join(f"{payment['amount']} ANKR to {payment['to']}" for payment in waiting["payments"])
    return f"{waiting['number']}: {payments} ({len(waiting['approvals'])} agreed)"
