"""`dccn gateway`: the chain over REST, proven, for programs that have no light client; and whom it serves."""

from __future__ import annotations

import socket
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chain.errors import Malformed, Refused
from dccn.homes import data_home
from dccn.output import Json, emit
from dccn.wallets import DEFAULT_NODE, Rpc, TrustedHeader

if TYPE_CHECKING:
    from chain.gateway.admission.bans import Bans
    from chain.gateway.tls import TlsFiles

app = typer.Typer(
    no_args_is_help=True, help="Serve the chain over REST and JSON-RPC; answers are proven, or say that they are not."
)

Home = Annotated[
    Path | None, typer.Option(help="Where lists, bans and trusted headers are. [default: ~/.local/share/dccn/gateway]")
]
PeerName = Annotated[str, typer.Argument(metavar="PEER", help="A device id (64 hex digits) or an address.")]


class StrangerPolicy(StrEnum):
    """What peers of other machines may do without a certificate."""

    refuse = "refuse"
    read = "read"
    send = "send"


@app.command()
def run(
    home: Home = None,
    rpc: Rpc = DEFAULT_NODE,
    trust: TrustedHeader = None,
    index: Annotated[
        str | None, typer.Option(metavar="URL", help="An explorer (dccn node index serve) for histories.")
    ] = None,
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="Where it listens without TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8070,
    strangers: Annotated[
        StrangerPolicy, typer.Option(help="What peers of other machines may do without a certificate.")
    ] = StrangerPolicy.refuse,
    tls: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Also listen here with TLS, for devices with certificates.")
    ] = None,
    tls_port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8444,
    hub_home: Annotated[
        Path | None,
        typer.Option(help="The hub whose devices count; it issues the server's certificate. [default: the hub's]"),
    ] = None,
    certificate: Annotated[
        tuple[Path, Path, Path] | None,
        typer.Option(metavar="CERTIFICATE KEY CA", help="Instead of --hub-home: three PEM files."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the gateway in the foreground; its OpenAPI document is at /schema/openapi.json."""
    from chain.gateway import server
    from chain.gateway.admission.policy import Policy, Strangers
    from chain.gateway.settings import Settings, TlsListener
    from chain.gateway.tls import TlsFiles
    from chain.wallet.trust import Trust

    chosen = home or data_home("gateway")
    listener = None
    if tls is not None:
        given = None if certificate is None else TlsFiles(*certificate)
        listener = TlsListener(tls, tls_port, given or issued_by_hub(hub_home or data_home("hub"), chosen, tls))
    server.run(
        Settings(
            home=chosen,
            node=rpc,
            listen=listen,
            port=port,
            tls=listener,
            policy=Policy(strangers=Strangers(strangers.value)),
            trust=None if trust is None else Trust.parse(trust),
            index=index,
            json=as_json,
        )
    )


@app.command()
def peers(home: Home = None, as_json: Json = False) -> None:
    """Show whom the lists name and who is banned."""
    from chain.gateway.admission.gate import ALLOW_FILE, DENY_FILE
    from chain.gateway.admission.lists import read_list

    chosen = home or data_home("gateway")
    result: dict[str, Any] = {"ok": True}
    lines = []
    for name, file in (("allow", ALLOW_FILE), ("deny", DENY_FILE)):
        listed = read_list(chosen / file)
        result[name] = sorted(each.hex() for each in listed.devices) + [str(each) for each in listed.networks]
        lines += [f"{name:<8}{each}" for each in result[name]] or [f"{name:<8}nobody is listed"]
    now_s = time.time()
    bans = bans_in(chosen).all()
    result["banned"] = [
        {"peer": name, "left_s": None if ban.until_s is None else round(ban.until_s - now_s), "why": ban.why}
        for name, ban in bans.items()
    ]
    for ban in result["banned"]:
        left = "for ever" if ban["left_s"] is None else f"for {ban['left_s']} s"
        lines.append(f"banned  {ban['peer']} {left}: {ban['why']}")
    emit(result, "\n".join(lines), as_json=as_json)


@app.command()
def ban(
    peer: PeerName,
    seconds: Annotated[int | None, typer.Option("--for", min=1, metavar="SECONDS", help="[default: for ever]")] = None,
    why: Annotated[str, typer.Option(help="A reason for whoever reads the bans.")] = "by hand",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Ban a peer; a running gateway turns it away within a second."""
    name = named(peer)
    bans_in(home or data_home("gateway")).put(name, seconds, why)
    left = "for ever" if seconds is None else f"for {seconds} s"
    emit({"ok": True, "peer": name, "for_s": seconds}, f"{name} is banned {left}", as_json=as_json)


@app.command()
def unban(peer: PeerName, home: Home = None, as_json: Json = False) -> None:
    """Lift a ban, also one that the gateway made."""
    name = named(peer)
    if not bans_in(home or data_home("gateway")).lift(name):
        raise Refused("not_found", f"{name} is not banned")
    emit({"ok": True, "peer": name}, f"{name} is not banned any more", as_json=as_json)


def bans_in(home: Path) -> Bans:
    from chain.gateway.admission.bans import Bans
    from chain.gateway.admission.gate import BANS_FILE

    return Bans(home / BANS_FILE, time.time)


def named(text: str) -> str:
    """The name that the gateway counts a peer by; raises `usage`."""
    from chain.gateway.admission.lists import parse_peer

    name = parse_peer(text)
    if name is None:
        raise Malformed("usage", f"a peer is a device id of 64 hex digits or an address, not {text[:100]!r}")
    return name


def issued_by_hub(hub_home: Path, home: Path, address: str) -> TlsFiles:
    """A server certificate for this gateway from the authority of a hub on this machine."""
    from chain import files
    from chain.gateway.tls import TlsFiles
    from fleet.hub.identity.authority import Authority

    if not (hub_home / "identity" / "ca.pem").is_file():
        raise Malformed("usage", f"there is no hub in {hub_home}: name its --hub-home, or give --certificate")
    authority = Authority.open(hub_home, "", time.time_ns() // 10**6)
    names = ["127.0.0.1", "::1", "localhost", socket.gethostname()]
    hosts = names if address in ("0.0.0.0", "::") else [address, *names]
    key, certificate = authority.issue_pair("gateway", list(dict.fromkeys(hosts)), time.time_ns() // 10**6)
    made = TlsFiles(home / "tls" / "server.pem", home / "tls" / "server.key", home / "tls" / "ca.pem")
    files.replace(made.key, key)
    files.replace(made.certificate, certificate + authority.pem)
    files.replace(made.authority, authority.pem)
    return made
