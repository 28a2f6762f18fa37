"""`dccn deal`: a customer's escrow for a provider's work, from its opening to its rating."""

from __future__ import annotations

from typing import Annotated

import typer

from dccn.output import Json, emit, hex_bytes
from dccn.sending import TIMEOUT_S, Amount, Fee, From, Paying, Timeout, Wait
from dccn.wallets import DEFAULT_NODE, PasswordFile, Rpc, Somebody, TrustedHeader, WalletHome, chain_at

app = typer.Typer(
    no_args_is_help=True,
    help="Deals: put ANKR into escrow for work, have what was metered paid, close, and rate.",
)

Deal = Annotated[str, typer.Argument(metavar="DEAL", help="The deal's id, 64 hex digits.")]


@app.command(name="open")
def open_(
    sender: From,
    provider: Somebody,
    platform: Annotated[str, typer.Argument(metavar="HUB", help="The hub that meters.")],
    amount: Amount,
    app_provider: Annotated[str | None, typer.Option(help="Who made the application. [default: the provider]")] = None,
    app_permille: Annotated[int, typer.Option(min=0, max=1000, help="Its licence, out of 1000 of what is paid.")] = 0,
    terms: Annotated[str, typer.Option(metavar="HEX", help="SHA-256 of what was agreed.")] = "00" * 32,
    fee: Fee = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Put ANKR into escrow for a provider; its id is told, and follows from the customer and its nonce."""
    from chain.crypto.address import address
    from chain.wire.deals import DealOpen, deal_id, deal_open
    from chain.wire.transactions import parse_ankr

    paying = Paying(sender, fee, wait, timeout, password_file, rpc, trust, wallet, as_json)
    maker, atto = paying.resolve(app_provider or provider), parse_ankr(amount)
    agreed = hex_bytes(terms, "--terms", 32)
    opened = DealOpen(paying.resolve(provider), maker, paying.resolve(platform), atto, app_permille, agreed)
    paying.send(deal_open(opened), atto, lambda tx: {"deal": deal_id(address(tx.sender), tx.nonce).hex()})


@app.command()
def top_up(
    sender: From,
    deal: Deal,
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
    """Add to a deal's escrow."""
    from chain.wire.deals import deal_top_up
    from chain.wire.transactions import parse_ankr

    atto = parse_ankr(amount)
    paying = Paying(sender, fee, wait, timeout, password_file, rpc, trust, wallet, as_json)
    paying.send(deal_top_up(hex_bytes(deal, "DEAL", 32), atto), atto)


@app.command()
def settle(
    sender: From,
    deal: Deal,
    outcome: Annotated[
        str | None, typer.Option(help="done or failed: close it; the hub may, or the customer of a silent hub.")
    ] = None,
    fee: Fee = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Have what was metered paid to provider, application and platform; with an outcome, close the deal."""
    from chain.wire.deals import deal_settle

    paying = Paying(sender, fee, wait, timeout, password_file, rpc, trust, wallet, as_json)
    paying.send(deal_settle(hex_bytes(deal, "DEAL", 32), outcome))


@app.command()
def rate(
    sender: From,
    deal: Deal,
    stars: Annotated[int, typer.Argument(min=1, max=5)],
    fee: Fee = None,
    wait: Wait = True,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Rate the provider of a closed and paid deal, once."""
    from chain.wire.deals import rate as rated

    paying = Paying(sender, fee, wait, timeout, password_file, rpc, trust, wallet, as_json)
    paying.send(rated(hex_bytes(deal, "DEAL", 32), stars))


@app.command()
def show(
    deal: Deal,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Parties, escrow, what was metered and paid; every number proven."""
    from chain.crypto.address import encode
    from chain.errors import Refused
    from chain.wire.amounts import format_ankr

    client = chain_at(rpc, trust, wallet)
    found = client.deal(hex_bytes(deal, "DEAL", 32))
    if found.value is None:
        raise Refused("tx_unknown_deal", f"at height {found.height} there is no deal {deal}")
    one = found.value
    document = {
        "ok": True,
        "deal": deal.lower(),
        "customer": encode(one.customer),
        "provider": encode(one.provider),
        "app_provider": encode(one.app_provider),
        "platform": encode(one.platform),
        "escrow": format_ankr(one.escrow_atto),
        "used": format_ankr(one.used_atto),
        "paid": format_ankr(one.paid_atto),
        "outcome": one.outcome,
        "rated": one.rated,
        "verified_height": found.height,
    }
    text = "\n".join(f"{name.replace('_', ' '):<16}{value}" for name, value in document.items() if name != "ok")
    emit(document, text, as_json=as_json)
