"""What the commands of an operator share: whose account signs, which keys its node holds, how its standing is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chain.errors import Faulty, Refused
from dccn.homes import data_home
from dccn.output import emit
from dccn.sending import described, report, sign_and_send
from dccn.wallets import PasswordFile, TrustedHeader, WalletHome, book_in, chain_at, outbox_in, unlock

if TYPE_CHECKING:
    from chain.crypto.keys import PrivateKey
    from chain.node.home import Home
    from chain.node.keys import OperatorKeys
    from chain.node.standing import Standing
    from chain.wallet.client import ChainClient
    from chain.wallet.settlement import TransactionStatus
    from chain.wire.transactions import Content

NodeHome = Annotated[
    Path | None, typer.Option("--home", help="The node whose keys these are. [default: ~/.local/share/dccn/node]")
]
Signer = Annotated[
    str | None,
    typer.Option("--from", metavar="WALLET", help="The operator's account. [default: the one in the node's home]"),
]
NodeRpc = Annotated[str | None, typer.Option("--rpc", help="RPC address of any node. [default: the home's own node]")]


@dataclass(frozen=True, slots=True)
class Operating:
    """One operator at work: its account's key, its node's home, and the chain. `wallet` is where the outbox lives."""

    key: PrivateKey
    home: Home
    client: ChainClient
    wallet: Path | None

    @property
    def address(self) -> bytes:
        from chain.crypto.address import address

        return address(self.key.public)

    @property
    def node_keys(self) -> OperatorKeys:
        return node_keys(self.home)

    def send(self, content: Content, *, spends: int, fee: int | None, timeout_s: float) -> TransactionStatus:
        """To the proven end. What did not do what it says is reported and exits 1."""
        signed = sign_and_send(self.client, outbox_in(self.wallet), self.key, content, spends=spends, fee=fee)
        return self.client.wait(signed, timeout_s)

    def tell(self, found: TransactionStatus, as_json: bool) -> None:
        """What became of the transaction, and where the operator stands now."""
        from chain.node.standing import standing

        if found.state != "committed" or found.transaction is None:
            report(self.client, found, found.transaction, as_json)
            return
        now = standing(self.client, self.address)
        result = described(self.client, found, found.transaction)
        if now is None:
            emit(result, f"committed at height {found.height}", as_json=as_json)
        else:
            text = f"committed at height {found.height}\n{standing_text(now)}"
            emit({**result, "standing": standing_document(now)}, text, as_json=as_json)


def operating(
    home: NodeHome,
    signer: Signer,
    password_file: PasswordFile,
    rpc: NodeRpc,
    trust: TrustedHeader,
    wallet: WalletHome,
) -> Operating:
    """Raises Faulty `home_invalid` for a home without a node or keys, and what unlocking a wallet raises."""
    from chain.node import home as node_home

    loaded = node_home.load(home or data_home("node"))
    key = node_keys(loaded).account if signer is None else unlock(book_in(wallet), signer, password_file).key
    return Operating(key, loaded, chain_at(rpc or node_home.rpc_url(loaded), trust, wallet), wallet)


def node_keys(home: Home) -> OperatorKeys:
    """The one operator whose keys a node of a network holds."""
    if len(home.operators) != 1:
        raise Faulty("home_invalid", f"{home.path} holds the keys of {len(home.operators)} operators, not of one")
    return home.operators[0]


def known_standing(client: ChainClient, address: bytes) -> Standing:
    """Refuses `tx_unknown_operator`."""
    from chain.crypto.address import encode
    from chain.node.standing import standing

    found = standing(client, address)
    if found is None:
        raise Refused("tx_unknown_operator", f"{encode(address)} has never bonded on {client.chain_id}")
    return found


def standing_document(found: Standing) -> dict[str, Any]:
    """For scripts: amounts in decimal ANKR, times in RFC 3339, seats as key numbers."""
    from chain.crypto.address import encode
    from chain.wire.amounts import format_ankr
    from chain.wire.cometbft import format_time

    one = found.operator
    return {
        "address": encode(found.address),
        "name": one.name,
        "bond": format_ankr(one.bond_atto),
        "unbonding": len(one.unbonding),
        "keys": [consensus.hex() for consensus, _ in one.keys],
        "jailed": one.jailed,
        "jailed_until": format_time(one.jailed_until_ns) if one.jailed and not one.tombstoned else None,
        "tombstoned": one.tombstoned,
        "service_level": found.level.proven_level,
        "quality": found.level.proven_quality,
        "seats": [{"key": seat.key, "since_epoch": seat.since_epoch} for seat in found.seats],
        "obstacles": list(found.obstacles),
        "election_epoch": found.election_epoch,
        "first_possible_epoch": found.first_epoch,
        "first_possible_time": format_time(found.first_epoch_ns),
        "verified_height": found.height,
    }


def standing_text(found: Standing) -> str:
    shown = standing_document(found)
    seats = f"{len(found.seats)} of its {len(found.operator.keys)} keys"
    lines = [
        f"operator       {shown['name']}  {shown['address']}",
        f"bond           {shown['bond']} ANKR",
        f"proven level   {shown['service_level']} (quality {shown['quality']} millionths)",
        f"seated         {seats}",
    ]
    steps = found.next_steps()
    if not found.seats:
        lines.append(f"first election {shown['first_possible_epoch']}, from {shown['first_possible_time']} on")
        lines.append(f"now            election epoch {shown['election_epoch']}")
    lines += [f"{'still lacking' if number == 0 else '':<15}{step}" for number, step in enumerate(steps)]
    return "\n".join(lines)
