"""`dccn wallet`: keys and addresses on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chain.errors import Malformed
from dccn.output import Json, emit, read_input
from dccn.wallets import PasswordFile, WalletHome, book_in, new_password, secret_line, unlock

if TYPE_CHECKING:
    from chain.crypto.keys import PrivateKey
    from chain.wallet.keystore import Entry

app = typer.Typer(
    no_args_is_help=True,
    help="Keys and addresses on this machine: make, import, watch, list, export. Keys are sealed with a password.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What you call the wallet: a-z, 0-9, - and _.")]
Account = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which account of the words, from 0.")]
PassphraseFile = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="A BIP-39 passphrase that the words are combined with (first line)."),
]


@app.command()
def create(
    name: Name,
    words: Annotated[int, typer.Option(help="How many words: 12, 15, 18, 21 or 24.")] = 24,
    account: Account = 0,
    passphrase_file: PassphraseFile = None,
    password_file: PasswordFile = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Make a new wallet and show its words once: they are the only backup."""
    from chain.wallet import mnemonic

    require_free(wallet, name)
    password = new_password(password_file, name)
    phrase = mnemonic.generate(words)
    entry = keep_words(wallet, name, phrase, account, passphrase_file, password)
    shown = phrase.split(" ")
    lines = [
        " ".join(f"{n:>2} {word:<9}" for n, word in enumerate(shown, 1) if (n - 1) // 4 == row) for row in range(6)
    ]
    text = [f"{name}: {entry.text}", "", *(line.rstrip() for line in lines if line), ""]
    text.append("Write these words on paper, in this order. Who has them has the money; without them a lost disk is a")
    text.append("lost wallet. They are not shown again unless you export them.")
    emit({**document(name, entry), "words": phrase}, "\n".join(text), as_json=as_json)


@app.command(name="import")
def import_(
    name: Name,
    words_file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="The words on one line; without it you are asked.")
    ] = None,
    key_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A bare key: 64 hex digits, or a key file of an agent, hub or node."),
    ] = None,
    keystore: Annotated[
        str | None, typer.Option(metavar="FILE", help="A file of dccn wallet export; keeps its password.")
    ] = None,
    account: Account = 0,
    passphrase_file: PassphraseFile = None,
    password_file: PasswordFile = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Bring in a wallet from its words, from a bare key, or from an exported file."""
    from chain.wallet.keystore import Secret, decode_document, seal

    if sum(source is not None for source in (words_file, key_file, keystore)) > 1:
        raise Malformed("usage", "dccn wallet import takes one of --words-file, --key-file and --keystore")
    require_free(wallet, name)
    if keystore is not None:
        entry = decode_document(read_input(keystore), keystore)
        book_in(wallet).add(name, entry)
    elif key_file is not None:
        secret = Secret(bare_key(key_file))
        entry = seal(secret, new_password(password_file, name))
        book_in(wallet).add(name, entry)
    else:
        phrase = secret_line(words_file, "The words, separated by spaces")
        entry = keep_words(wallet, name, phrase, account, passphrase_file, new_password(password_file, name))
    emit(document(name, entry), f"{name}: {entry.text}", as_json=as_json)


@app.command()
def watch(
    name: Name,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS|PUBLIC_KEY", help="ankr1…, or the 64 hex digits of an Ed25519 public key.")
    ],
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Remember an address without its key; with the public key, transactions can be prepared for signing elsewhere."""
    from chain.crypto import address as addresses
    from chain.crypto.keys import PublicKey
    from chain.wallet.keystore import Entry
    from dccn.output import hex_bytes

    if address.lower().startswith(addresses.HUMAN_PREFIX + "1"):
        entry = Entry(addresses.decode(address))
    else:
        public = PublicKey.from_ed25519(hex_bytes(address, "public key", 32))
        entry = Entry(addresses.address(public), public)
    book_in(wallet).add(name, entry)
    emit(document(name, entry), f"{name}: {entry.text}, watched", as_json=as_json)


@app.command(name="list")
def list_(wallet: WalletHome = None, as_json: Json = False) -> None:
    """List all wallets of this machine."""
    entries = book_in(wallet).entries()
    text = "\n".join(f"{name:<20} {entry.text}{'  watched' if entry.watch_only else ''}" for name, entry in entries)
    found = [document(name, entry) for name, entry in entries]
    emit({"ok": True, "wallets": found}, text or "no wallets yet; make one: dccn wallet create NAME", as_json=as_json)


@app.command()
def show(name: Name, wallet: WalletHome = None, as_json: Json = False) -> None:
    """Show address, public key and derivation path; never the key."""
    entry = book_in(wallet).get(name)
    shown = document(name, entry)
    lines = [f"{label.replace('_', ' '):<12} {value}" for label, value in shown.items() if label != "ok" and value]
    emit(shown, "\n".join(lines), as_json=as_json)


@app.command()
def export(
    name: Name,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the sealed file here. [default: print it]")
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Show the words instead; needs the password.")] = False,
    secret: Annotated[
        bool, typer.Option("--secret", help="Show the bare key in hex instead; needs the password.")
    ] = False,
    password_file: PasswordFile = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Copy a wallet out: sealed as it is, or in the open for another program."""
    from chain import files
    from chain.wallet import mnemonic
    from chain.wallet.keystore import encode_document

    book = book_in(wallet)
    entry = book.get(name)
    if words and secret:
        raise Malformed("usage", "dccn wallet export takes --words or --secret, not both")
    if words or secret:
        if to is not None:
            raise Malformed("usage", "secrets are shown, not written: leave out --to, or export the sealed file")
        opened = unlock(book, name, password_file)
        if words and opened.entropy is None:
            raise Malformed("usage", f"{name} was not made from words; export it with --secret or sealed")
        text = mnemonic.from_entropy(opened.entropy) if words and opened.entropy else opened.key.secret.hex()
        emit({**document(name, entry), "words" if words else "secret": text}, text, as_json=as_json)
        return
    data = encode_document(entry)
    if to is None:
        emit({**document(name, entry), "keystore": data.decode()}, data.decode().rstrip(), as_json=as_json)
        return
    if not files.create(to, data):
        raise Malformed("usage", f"{to} exists already; nothing was written")
    emit(
        {**document(name, entry), "file": str(to)}, f"wrote {to}; it opens with the password of {name}", as_json=as_json
    )


@app.command()
def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Its name until now.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its name from now on.")],
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Give a wallet another name."""
    book = book_in(wallet)
    book.rename(old, new)
    emit(document(new, book.get(new)), f"{old} is now called {new}", as_json=as_json)


@app.command()
def password(
    name: Name,
    password_file: PasswordFile = None,
    new_password_file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="The new password is the file's first line.")
    ] = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Change the password of a wallet; the old one is needed."""
    from chain.wallet.keystore import seal

    book = book_in(wallet)
    entry = book.get(name)
    opened = unlock(book, name, password_file)
    book.replace(name, seal(opened, new_password(new_password_file, name), path=entry.path))
    emit(document(name, entry), f"{name} has a new password; earlier exports keep the old one", as_json=as_json)


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Delete a wallet from this machine; without its words or an export its money is lost."""
    book = book_in(wallet)
    entry = book.get(name)
    if (
        not yes
        and (entry.watch_only is False)
        and typer.prompt(f"Delete the key of {entry.text}? Type its name") != name
    ):
        raise Malformed("usage", "that is not its name; nothing was deleted")
    book.remove(name)
    emit(document(name, entry), f"deleted {name} ({entry.text})", as_json=as_json)


def document(name: str, entry: Entry) -> dict[str, Any]:
    public = None if entry.public is None else entry.public.x.hex()
    kind = "watch" if entry.watch_only else "key"
    return {"ok": True, "name": name, "address": entry.text, "kind": kind, "public_key": public, "path": entry.path}


def require_free(wallet: Path | None, name: str) -> None:
    """Before anybody is asked for a password: the name may be used."""
    from chain.errors import Refused

    if name in book_in(wallet).names():
        raise Refused("wallet_exists", f"a wallet is called {name!r} already")


def keep_words(
    wallet: Path | None, name: str, phrase: str, account: int, passphrase_file: str | None, password: str
) -> Entry:
    from chain.wallet import derivation, mnemonic
    from chain.wallet.keystore import Secret, seal

    passphrase = "" if passphrase_file is None else secret_line(passphrase_file, "Passphrase")
    path = derivation.account_path(account)
    secret = Secret(derivation.key_of(phrase, path, passphrase), mnemonic.to_entropy(phrase))
    entry = seal(secret, password, path=path)
    book_in(wallet).add(name, entry)
    return entry


def bare_key(file: str) -> PrivateKey:
    """An Ed25519 key from 64 hex digits, or from a JSON key file with a member `secret`."""
    import json

    from chain.crypto.keys import PrivateKey

    text = secret_text(file)
    if text.startswith("{"):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            raise Malformed("malformed", f"{file!r} is not a JSON key file") from None
        if content.get("algorithm", "ed25519") != "ed25519":
            raise Malformed("bad_key", f"{file!r} holds a {content['algorithm']} key; wallets hold Ed25519 keys")
        text = str(content.get("secret", ""))
    try:
        return PrivateKey.from_secret("ed25519", bytes.fromhex(text))
    except ValueError:  # never repeats what it read: it may be a secret with one wrong digit
        raise Malformed("malformed", f"{file!r} holds no key of 64 hex digits") from None


def secret_text(file: str) -> str:
    data = read_input(file)
    try:
        return data[: 1 << 16].decode("ascii").strip()
    except UnicodeDecodeError:
        raise Malformed("malformed", f"{file!r} is not a text file with a key") from None
