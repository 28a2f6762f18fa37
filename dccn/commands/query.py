"""`dccn query`: what the chain holds, each answer proven against a verified header."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chain.errors import Malformed, Refused
from dccn.commands.index import Database, index_place
from dccn.output import Json, emit, hex_bytes
from dccn.wallets import DEFAULT_NODE, Rpc, Somebody, TrustedHeader, WalletHome, book_in, chain_at

if TYPE_CHECKING:
    from chain.wallet.client import ChainClient

app = typer.Typer(
    no_args_is_help=True,
    help="Ask the chain: balances, rewards, supply, validators. Every answer is proven, no node is believed.",
)


@app.command()
def balance(
    who: Somebody,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """The balance of an address."""
    from chain.crypto import address
    from chain.wire.amounts import format_ankr

    account = book_in(wallet).resolve(who)
    client = chain_at(rpc, trust, wallet)
    found = client.account(account)
    amount = found.value.balance_atto
    result = {"address": address.encode(account), "balance": format_ankr(amount), "balance_atto": str(amount)}
    tell(client, result, found.height, f"{format_ankr(amount)} ANKR", as_json)


@app.command()
def account(
    who: Somebody,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Balance, next nonce and service level of an address."""
    from chain.crypto import address
    from chain.wire.amounts import format_ankr

    owner = book_in(wallet).resolve(who)
    client = chain_at(rpc, trust, wallet)
    found, level = client.account(owner), client.service_level(owner)
    result = {
        "address": address.encode(owner),
        "balance": format_ankr(found.value.balance_atto),
        "balance_atto": str(found.value.balance_atto),
        "nonce": found.value.nonce,
        "service_level": None if level.value is None else fields_of(level.value),
    }
    lines = [f"address        {result['address']}", f"balance        {result['balance']} ANKR"]
    lines.append(f"next nonce     {found.value.nonce}")
    if level.value is not None:
        lines.append(f"service level  {level.value.service_level} ({level.value.devices} devices)")
    tell(client, result, found.height, "\n".join(lines), as_json)


@app.command()
def reward(
    who: Somebody,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """The last reward of an address and the sum of all; dccn why reward explains it."""
    from chain.crypto import address
    from chain.wire.amounts import format_ankr

    owner = book_in(wallet).resolve(who)
    client = chain_at(rpc, trust, wallet)
    found = client.reward(owner)
    text = address.encode(owner)
    if found.value is None:
        tell(client, {"address": text, "reward": None}, found.height, f"{text} never had a reward", as_json)
        return
    one = found.value
    last, total = format_ankr(one.amount_atto), format_ankr(one.total_atto)
    said = f"last reward  {last} ANKR at height {one.height}, when reward epoch {one.closed_epoch} ended"
    said += f"\nall so far   {total} ANKR"
    result = {"address": text, "reward": last, "total": total, **fields_of(one)}
    tell(client, result, found.height, said, as_json)


@app.command()
def supply(
    rpc: Rpc = DEFAULT_NODE, trust: TrustedHeader = None, wallet: WalletHome = None, as_json: Json = False
) -> None:
    """Where all ANKR are; exits 1 if they are not 10 000 000 000."""
    from chain.wire.amounts import ANKR, format_ankr

    client = chain_at(rpc, trust, wallet)
    found = client.supply()
    total = found.value.total_atto
    parts = {name.removesuffix("_atto"): value for name, value in fields_of(found.value).items() if name != "reserved"}
    shown = {name: format_ankr(int(value)) for name, value in parts.items()}
    shown |= {f"reserved: {name}": format_ankr(amount) for name, amount in found.value.reserved}
    whole = total == TOTAL_ANKR * ANKR
    lines = [f"{name.replace('_', ' '):<28} {value:>32}" for name, value in shown.items()]
    lines.append(f"{'total':<28} {format_ankr(total):>32}")
    result = {"ok": whole, "parts": shown, "total": format_ankr(total), "total_atto": str(total)}
    tell(client, result, found.height, "\n".join(lines), as_json)
    if not whole:
        raise typer.Exit(1)


TOTAL_ANKR = 10_000_000_000


@app.command()
def epoch(
    number: Annotated[
        int | None, typer.Argument(metavar="[EPOCH]", help="A reward epoch. [default: the last one]")
    ] = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """What the end of a reward epoch shared out: emission, fees, and who got them."""
    client = chain_at(rpc, trust, wallet)
    wanted = client.clock().value.reward_epoch - 1 if number is None else number
    if wanted < 0:
        raise Refused("not_found", "no reward epoch has ended yet")
    found = client.epoch(wanted)
    if found.value is None:
        raise Refused("not_found", f"at height {found.height} there is no summary of reward epoch {wanted}")
    shown = fields_of(found.value)
    lines = [f"{name.replace('_', ' '):<18} {value}" for name, value in in_ankr(shown).items() if name != "batches"]
    lines += [f"{'batch':<18} {one['count']} records, {one['sum_uankr_h']} micro-ANKR/h" for one in shown["batches"]]
    tell(client, shown, found.height, "\n".join(lines), as_json)


@app.command()
def parameters(
    rpc: Rpc = DEFAULT_NODE, trust: TrustedHeader = None, wallet: WalletHome = None, as_json: Json = False
) -> None:
    """All parameters of the chain; their units are in their names."""
    client = chain_at(rpc, trust, wallet)
    found = client.parameters()
    shown = {name: str(value) if name.endswith("_atto") else value for name, value in found.value.items()}
    lines = [f"{name:<34} {value}" for name, value in sorted(shown.items())]
    tell(client, {"parameters": shown}, found.height, "\n".join(lines), as_json)


@app.command()
def upgrade(
    rpc: Rpc = DEFAULT_NODE, trust: TrustedHeader = None, wallet: WalletHome = None, as_json: Json = False
) -> None:
    """Which version of the ledger's rules holds, and from which height on another one will."""
    client = chain_at(rpc, trust, wallet)
    found = client.upgrade()
    if found.value is None:
        tell(client, {"rules": 1, "planned": None}, found.height, "rules 1, and no upgrade was ever planned", as_json)
        return
    rules = found.value.at(found.height)
    planned = None if rules == found.value.rules else {"rules": found.value.rules, "height": found.value.height}
    later = f"; rules {planned['rules']} from height {planned['height']} on" if planned else ""
    tell(client, {"rules": rules, "planned": planned}, found.height, f"rules {rules}{later}", as_json)


@app.command()
def validators(
    height: Annotated[int | None, typer.Option(min=1, help="Of this height. [default: the newest]")] = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Who signs the blocks, with their voting power."""
    client = chain_at(rpc, trust, wallet)
    found = client.validators(height)
    shown = [{"address": one.address.hex(), "public_key": one.public.hex(), "power": one.power} for one in found.value]
    total = found.value.total_power
    lines = [f"{one['address']}  {one['power']:>12}  {one['public_key']}" for one in shown]
    lines.append(f"{len(shown)} validators, power {total}")
    tell(client, {"validators": shown, "total_power": total}, found.height, "\n".join(lines), as_json)


@app.command()
def device(
    device_id: Annotated[str, typer.Argument(metavar="DEVICE", help="The device's id, 64 hex digits.")],
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """Whose a device is, and since when it is registered."""
    from chain.crypto import address

    client = chain_at(rpc, trust, wallet)
    found = client.device(hex_bytes(device_id, "DEVICE", 32))
    if found.value is None:
        raise Refused("tx_unknown_device", f"at height {found.height} device {device_id} is not registered")
    owner = address.encode(found.value.owner)
    result = {"device": device_id.lower(), "owner": owner, "registered_height": found.value.registered_height}
    result["registered_epoch"] = found.value.registered_epoch
    said = f"owner       {owner}\nregistered  at height {found.value.registered_height}"
    tell(client, result, found.height, said, as_json)


@app.command()
def history(
    who: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS|NAME]", help="An address (ankr1…) or the name of a wallet.")
    ] = None,
    tx: Annotated[str | None, typer.Option(metavar="HASH", help="A transaction instead.")] = None,
    height: Annotated[int | None, typer.Option(min=1, help="A whole block instead.")] = None,
    device: Annotated[str | None, typer.Option(metavar="DEVICE", help="A device instead, 64 hex digits.")] = None,
    deal: Annotated[str | None, typer.Option(metavar="DEAL", help="A deal instead, in hex digits.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many, newest first.")] = 20,
    before: Annotated[
        str | None, typer.Option(metavar="HEIGHT:POSITION", help="Go on after the last one of a page.")
    ] = None,
    db: Database = None,
    wallet: WalletHome = None,
    as_json: Json = False,
) -> None:
    """What happened, from the index of dccn node index run; codes and transactions were proven when it was written."""
    from chain.history.search import History
    from chain.history.shown import block_document, happening_document, line
    from chain.history.store import read_index

    asked = {"address": who, "tx": tx, "height": height, "device": device, "deal": deal}
    if sum(value is not None for value in asked.values()) != 1:
        raise Malformed("usage", "dccn query history takes one of ADDRESS, --tx, --height, --device and --deal")
    index = read_index(index_place(db))
    found = History(index)
    if height is not None:
        block = found.by_height(height)
        if block is None:
            raise Refused(
                "height_unknown", f"the index {index.name} goes from height {found.range()[0]} to {found.range()[1]}"
            )
        shown = block_document(block)["happenings"]
    elif tx is not None:
        shown = [happening_document(one) for one in found.by_hash(hex_bytes(tx, "--tx", 32))]
    else:
        kind = next(name for name, value in asked.items() if value is not None)
        value = searched(kind, who, device, deal, wallet)
        shown = [happening_document(one) for one in found.by_mention(kind, value, limit, page_start(before))]
    low, high = found.range()
    result = {"ok": True, "chain_id": found.chain_id, "indexed": [low, high], "happenings": shown}
    text = "\n".join(line(one) for one in shown) or "nothing"
    emit(result, f"{text}\n(index of {found.chain_id}, heights {low} to {high})", as_json=as_json)


def searched(kind: str, who: str | None, device: str | None, deal: str | None, wallet: Path | None) -> bytes:
    if kind == "device":
        return hex_bytes(device or "", "--device", 32)
    return hex_bytes(deal or "", "--deal") if kind == "deal" else book_in(wallet).resolve(who or "")


def page_start(before: str | None) -> tuple[int, int] | None:
    if before is None:
        return None
    match = re.fullmatch(r"(\d{1,18}):(-1|\d{1,9})", before, re.ASCII)
    if match is None:
        raise Malformed("usage", f"--before takes HEIGHT:POSITION of the last one seen, not {before!r}")
    return int(match[1]), int(match[2])


def tell(client: ChainClient, result: dict[str, Any], height: int, text: str, as_json: bool) -> None:
    """Print an answer with what it stands on."""
    shown = {"ok": True, **result, "verified_height": height, "chain_id": client.chain_id, "trusted": client.trusted}
    emit(shown, f"{text}\n(proven at height {height} of {client.chain_id})", as_json=as_json)


def fields_of(value: Any) -> dict[str, Any]:
    """A state value as JSON: addresses and hashes in hex, amounts as decimal strings of atto."""
    import msgspec

    return {name: plain(name, part) for name, part in msgspec.structs.asdict(value).items()}


def plain(name: str, value: Any) -> Any:
    import msgspec

    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, msgspec.Struct):
        return fields_of(value)
    if isinstance(value, tuple | list):
        return [plain(name, part) for part in value]
    return str(value) if name.endswith("_atto") and value is not None else value


def in_ankr(shown: dict[str, Any]) -> dict[str, Any]:
    from chain.wire.amounts import format_ankr

    return {
        name.removesuffix("_atto"): f"{format_ankr(int(value))} ANKR" if name.endswith("_atto") else value
        for name, value in shown.items()
    }
