"""`dccn validator vote`: what two thirds of the stake decide; a ballot is the same transaction by another operator."""

from __future__ import annotations

from typing import Annotated

import typer

from chain.errors import Malformed
from dccn.operating import NodeHome, NodeRpc, Signer, operating
from dccn.output import Json
from dccn.sending import TIMEOUT_S, Timeout
from dccn.wallets import PasswordFile, TrustedHeader, WalletHome, book_in

app = typer.Typer(
    no_args_is_help=True,
    help="Vote as an operator. Whoever agrees sends the same; what makes two thirds of the stake carries it out.",
)


@app.command()
def hub(
    who: Annotated[str, typer.Argument(metavar="ADDRESS|NAME", help="Whose role it is.")],
    name: Annotated[str, typer.Argument(help="The hub's name.")],
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the role away.")] = False,
    home: NodeHome = None,
    signer: Signer = None,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: NodeRpc = None,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Vote for a hub, or against one: carried by two thirds of the stake."""
    from chain.wire import governance

    at_work = operating(home, signer, password_file, rpc, trust, wallet)
    content = governance.role(not revoke, book_in(wallet).resolve(who), name)
    at_work.tell(at_work.send(content, spends=0, fee=None, timeout_s=timeout), as_json)


@app.command()
def parameters(
    changes: Annotated[list[str], typer.Argument(metavar="NAME=VALUE…", help="As dccn query parameters names them.")],
    home: NodeHome = None,
    signer: Signer = None,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: NodeRpc = None,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Vote for new parameters of the chain: carried by two thirds of the stake."""
    from chain.wire import governance

    wanted: dict[str, int] = {}
    for change in changes:
        parameter, _, value = change.partition("=")
        if not value.isascii() or not value.isdigit():
            raise Malformed("usage", f"{change!r} is not NAME=VALUE with a whole number")
        wanted[parameter] = int(value)
    at_work = operating(home, signer, password_file, rpc, trust, wallet)
    content = governance.parameter_change(wanted)
    at_work.tell(at_work.send(content, spends=0, fee=None, timeout_s=timeout), as_json)


@app.command()
def upgrade(
    rules: Annotated[int, typer.Argument(min=0, help="The version of the ledger's rules; 0 takes a plan back.")],
    height: Annotated[int, typer.Argument(min=0, help="The first block that follows them; 0 with rules 0.")],
    home: NodeHome = None,
    signer: Signer = None,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: NodeRpc = None,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Vote for an upgrade of the chain: carried by two thirds of the stake, older programs halt before that height."""
    from chain.wire import governance

    at_work = operating(home, signer, password_file, rpc, trust, wallet)
    content = governance.upgrade(rules, height)
    at_work.tell(at_work.send(content, spends=0, fee=None, timeout_s=timeout), as_json)
