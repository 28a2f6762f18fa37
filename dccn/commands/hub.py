"""`dccn hub`: what collects proofs, settles them on the chain, and shows the fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chain.errors import Malformed
from dccn.homes import data_home
from dccn.output import Json, emit

DEFAULT_NODE = "http://127.0.0.1:26657"

app = typer.Typer(
    no_args_is_help=True, help="Run a hub: it enrols machines, collects and verifies their proofs, and shows the fleet."
)

Home = Annotated[
    Path | None, typer.Option(help="Where keys, database and broker live. [default: ~/.local/share/dccn/hub]")
]
Fleet = Annotated[str, typer.Option(help="The fleet's name: lower-case letters, digits and dashes.")]


@app.command()
def run(
    home: Home = None,
    fleet: Fleet = "home",
    node: Annotated[
        list[str] | None, typer.Option(help="RPC address of a chain node; give several for fail-over.")
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The address that devices reach; the page stays on loopback.")
    ] = "127.0.0.1",
    page_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The page. [default: 8080 or a free one]")
    ] = None,
    device_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Enrolment over HTTPS. [default: 8443 or a free one]")
    ] = None,
    mqtt_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The broker. [default: 8883 or a free one]")
    ] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Use this MQTT 5 broker instead of starting mosquitto.")
    ] = None,
    record_interval_ms: Annotated[int, typer.Option(min=100, help="How often devices sign a work record.")] = 60_000,
    pog_profile: Annotated[
        str, typer.Option(help="Size of the compute challenges: test, light or standard.")
    ] = "light",
    as_json: Json = False,
) -> None:
    """Run the hub in the foreground, with a private mosquitto unless --broker names one."""
    from chain.proofs.pog.profiles import profile_named
    from fleet.hub import server
    from fleet.hub.settings import Settings

    server.run(
        Settings(
            home=home or data_home("hub"),
            fleet=fleet,
            listen=listen,
            page_port=page_port,
            device_port=device_port,
            broker_port=mqtt_port,
            broker=broker,
            rpc=tuple(node or [DEFAULT_NODE]),
            record_interval_ms=record_interval_ms,
            pog_profile=profile_named(pog_profile).name,
            json=as_json,
        )
    )


@app.command()
def token(home: Home = None, fleet: Fleet = "home", as_json: Json = False) -> None:
    """Make a one-time token that lets one machine join; it also pins the hub's certificate authority."""
    from fleet.hub.actions.offline import create_token

    chosen = home or data_home("hub")
    if not chosen.is_dir():
        raise Malformed("home_invalid", f"making a token for the hub in {chosen}: no hub has run there")
    text = create_token(chosen, fleet)
    emit({"token": text}, text, as_json=as_json)
