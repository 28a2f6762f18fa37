"""What the commands about money share: where wallets live, how passwords are asked for, which chain is meant."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chain.errors import Malformed
from dccn.homes import data_home
from dccn.output import note, read_input

if TYPE_CHECKING:
    from chain.wallet.book import Book
    from chain.wallet.client import ChainClient
    from chain.wallet.keystore import Secret
    from chain.wallet.outbox import Outbox

DEFAULT_NODE = "http://127.0.0.1:26657"
SECRET_MAX_BYTES = 4_096

WalletHome = Annotated[
    Path | None,
    typer.Option("--wallet", metavar="DIR", help="Where wallets live. [default: ~/.local/share/dccn/wallet]"),
]
Rpc = Annotated[str, typer.Option(help="RPC address of any node; it is not trusted.")]
TrustedHeader = Annotated[
    str | None,
    typer.Option(
        "--trust",
        metavar="HEIGHT:HASH",
        help="A header that you trust. [default: what was verified here before, else the node's newest, once]",
    ),
]
PasswordFile = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="The password is the file's first line; without it you are asked."),
]
Somebody = Annotated[str, typer.Argument(metavar="ADDRESS|NAME", help="An address (ankr1…) or the name of a wallet.")]


def home_of(chosen: Path | None) -> Path:
    return chosen or data_home("wallet")


def book_in(chosen: Path | None) -> Book:
    from chain.wallet.book import Book

    return Book(home_of(chosen) / "keys")


def outbox_in(chosen: Path | None) -> Outbox:
    from chain.wallet.outbox import Outbox

    return Outbox(home_of(chosen) / "outbox")


def chain_at(rpc: str, trust: str | None, wallet: Path | None) -> ChainClient:
    """A client of the chain behind `rpc`; says so on stderr when it has to believe the node about itself."""
    from chain.wallet.client import ChainClient
    from chain.wallet.trust import Trust

    named = None if trust is None else Trust.parse(trust)
    client = ChainClient(rpc, named, memory=home_of(wallet) / "trust")
    if client.own_word:
        note(f"dccn: first contact with {client.chain_id}: trusting {client.trusted}. Name a header with --trust.")
    return client


def unlock(book: Book, name: str, password_file: str | None) -> Secret:
    """The key of a wallet, opened with its password."""
    from chain.errors import Refused
    from chain.wallet.keystore import unseal

    entry = book.get(name)
    if entry.watch_only:
        raise Refused("wallet_watch_only", f"{name} ({entry.text}) is watched here, its key is somewhere else")
    return unseal(entry, secret_line(password_file, f"Password of {name}"))


def new_password(password_file: str | None, name: str) -> str:
    """A password chosen now: asked for twice, since nobody can reset it."""
    password = secret_line(password_file, f"New password for {name}")
    if password_file is None and secret_line(None, "Once more") != password:
        raise Malformed("usage", "the two passwords differ; nothing was written")
    return password


def secret_line(file: str | None, question: str) -> str:
    """The first line of a file (or of standard input for -), else what is typed unseen at the terminal."""
    if file is not None:
        data = read_input(file)
        if len(data) > SECRET_MAX_BYTES:
            raise Malformed("too_large", f"{file!r} has {len(data)} bytes; its first line should be the secret")
        try:
            return data.decode().split("\n", 1)[0].removesuffix("\r")
        except UnicodeDecodeError:
            raise Malformed("malformed", f"{file!r} is not UTF-8 text") from None
    if not sys.stdin.isatty():
        raise Malformed("usage", f"{question}: there is no terminal to ask at; give it in a file")
    try:
        return getpass.getpass(f"{question}: ")
    except EOFError:
        raise Malformed("usage", f"{question}: nothing was typed") from None
