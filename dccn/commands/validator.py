"""`dccn validator`: an operator's stake and keys, from the first bond to the last; it begins with `dccn node bond`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chain.errors import Faulty, Malformed
from dccn.operating import (
    NodeHome,
    NodeRpc,
    Signer,
    known_standing,
    operating,
    standing_document,
    standing_text,
)
from dccn.output import Json, emit, note
from dccn.sending import TIMEOUT_S, Amount, Fee, Timeout
from dccn.wallets import DEFAULT_NODE, PasswordFile, Rpc, TrustedHeader, WalletHome, book_in, chain_at

app = typer.Typer(
    no_args_is_help=True,
    help="Bond, unbond, change keys, leave jail, see what is lacking for a seat. The node's own account signs.",
)


@app.command()
def bond(
    amount: Amount,
    name: Annotated[str | None, typer.Option(help="The operator's name, at its first bond. [default: moniker]")] = None,
    home: NodeHome = None,
    signer: Signer = None,
    fee: Fee = None,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: NodeRpc = None,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Put up stake. The first bond makes the account an operator, with this node's keys, and later a candidate."""
    from chain.wire import staking
    from chain.wire.transactions import parse_ankr

    atto, fee_atto = parse_ankr(amount), None if fee is None else parse_ankr(fee)
    at_work = operating(home, signer, password_file, rpc, trust, wallet)
    keys, known = at_work.node_keys, at_work.client.operator(at_work.address).value
    if known is None:
        proven = keys.proven_for(at_work.client.chain_id, at_work.address)
        content = staking.bond(atto, staking.Registration(name or at_work.home.settings.moniker, proven))
    elif keys.pair not in known.keys:
        raise Malformed(
            "usage", f"{known.name} is an operator with other keys than this node's: add-key or rotate-key first"
        )
    else:
        content = staking.bond(atto)
    at_work.tell(at_work.send(content, spends=atto, fee=fee_atto, timeout_s=timeout), as_json)


@app.command()
def unbond(
    amount: Amount,
    home: NodeHome = None,
    signer: Signer = None,
    fee: Fee = None,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: NodeRpc = None,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Begin to take stake back. It stops counting at once, and is paid after the unbonding time."""
    from chain.wire import staking
    from chain.wire.transactions import parse_ankr

    content = staking.unbond(parse_ankr(amount))
    at_work = operating(home, signer, password_file, rpc, trust, wallet)
    fee_atto = None if fee is None else parse_ankr(fee)
    at_work.tell(at_work.send(content, spends=0, fee=fee_atto, timeout_s=timeout), as_json)


@app.command()
def unjail(
    home: NodeHome = None,
    signer: Signer = None,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: NodeRpc = None,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Leave jail after downtime, once its time is over; the node should be healthy before."""
    from chain.wire import staking

    at_work = operating(home, signer, password_file, rpc, trust, wallet)
    at_work.tell(at_work.send(staking.unjail(), spends=0, fee=None, timeout_s=timeout), as_json)


@app.command()
def add_key(
    home: NodeHome = None,
    signer: Signer = None,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: NodeRpc = None,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Give the operator this node's keys too, for a further seat: one node, one key, as many nodes as it likes."""
    from chain.wire import staking

    at_work = operating(home, signer, password_file, rpc, trust, wallet)
    content = staking.add_key(at_work.node_keys.proven_for(at_work.client.chain_id, at_work.address))
    at_work.tell(at_work.send(content, spends=0, fee=None, timeout_s=timeout), as_json)


@app.command()
def rotate_key(
    home: NodeHome = None,
    signer: Signer = None,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: Annotated[str, typer.Option(help="RPC address of another node: this one must be stopped.")] = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Make new consensus and VRF keys for a stopped node, and put them in the old ones' place on the chain.

    The new keys are on disk before the chain hears of them; run it again if it was interrupted.
    """
    from chain.node.lock import locked
    from chain.node.rotation import adopt, prepare
    from chain.wire import staking

    at_work = operating(home, signer, password_file, rpc, trust, wallet)
    with locked(at_work.home.path):
        fresh = prepare(at_work.home)
        known = known_standing(at_work.client, at_work.address).operator
        if fresh.pair in known.keys:  # the chain took it before, and we were interrupted
            adopt(at_work.home)
            emit(
                {"ok": True, "consensus": fresh.pair[0].hex()},
                "the node has the keys that the chain has",
                as_json=as_json,
            )
            return
        if at_work.node_keys.pair not in known.keys:
            raise Faulty("home_invalid", f"the keys of {at_work.home.path} are none of {known.name}'s on the chain")
        number = known.keys.index(at_work.node_keys.pair)
        content = staking.rotate_key(number, fresh.proven_for(at_work.client.chain_id, at_work.address))
        found = at_work.send(content, spends=0, fee=None, timeout_s=timeout)
        if found.state == "committed":
            adopt(at_work.home)
            note("dccn: the node has new keys; start it again. The old ones are kept beside them.")
    at_work.tell(found, as_json)


@app.command()
def show(
    who: Annotated[str | None, typer.Argument(metavar="[ADDRESS|NAME]", help="[default: this node's account]")] = None,
    home: NodeHome = None,
    rpc: Annotated[str | None, typer.Option(help="RPC address of any node. [default: the home's own node]")] = None,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Bond, service level, seats of an operator, and what it still lacks to be drawn; every number proven."""
    if who is None:
        at_work = operating(home, None, None, rpc, trust, wallet)
        client, address = at_work.client, at_work.address
    else:
        client, address = chain_at(rpc or DEFAULT_NODE, trust, wallet), book_in(wallet).resolve(who)
    found = known_standing(client, address)
    emit({"ok": True, **standing_document(found)}, standing_text(found), as_json=as_json)


@app.command(name="list")
def list_(
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Every operator that votes and elections look at."""
    client = chain_at(rpc, trust, wallet)
    operators = client.operators()
    rows = [standing_document(known_standing(client, address)) for address in operators.value]
    lines = [
        f"{row['name']:<24} {row['bond']:>18} ANKR  level {row['service_level']:<10} {len(row['seats'])} seats  "
        f"{', '.join(row['obstacles']) or 'candidate'}"
        for row in rows
    ]
    emit(
        {"ok": True, "operators": rows, "verified_height": operators.height},
        "\n".join(lines) or "no operator is listed",
        as_json=as_json,
    )


def register(
    name: Annotated[str, typer.Argument(help="The data center's name.")],
    region: Annotated[str, typer.Argument(help="Where it is, such as eu-central.")],
    certificate: Annotated[Path, typer.Option(metavar="PEM", help="The certificate of its node and cluster.")],
    home: NodeHome = None,
    signer: Signer = None,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: NodeRpc = None,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Register this data center on the chain: name, region, and the hash of its certificate. Again: replace it."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    from chain.wire.data_centers import data_center_register

    try:
        fingerprint = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(SHA256())
    except OSError as error:
        raise Malformed("usage", f"reading {certificate}: {error.strerror}") from error
    except ValueError as error:
        raise Malformed("malformed", f"{certificate} is not a certificate in PEM: {error}") from error
    at_work = operating(home, signer, password_file, rpc, trust, wallet)
    content = data_center_register(name, region, fingerprint)
    at_work.tell(at_work.send(content, spends=0, fee=None, timeout_s=timeout), as_json)


def unregister(
    home: NodeHome = None,
    signer: Signer = None,
    timeout: Timeout = TIMEOUT_S,
    password_file: PasswordFile = None,
    rpc: NodeRpc = None,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Take this data center's registration back."""
    from chain.wire.data_centers import data_center_revoke

    at_work = operating(home, signer, password_file, rpc, trust, wallet)
    at_work.tell(at_work.send(data_center_revoke(), spends=0, fee=None, timeout_s=timeout), as_json)
