"""`dccn hub`: what collects proofs, settles them on the chain, and shows the fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chain.errors import REGISTRY, Malformed, Refused, Unavailable
from dccn.homes import data_home
from dccn.output import Json, emit, read_input

DEFAULT_NODE = "http://127.0.0.1:26657"
ADMIN_TIMEOUT_S = 20.0

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
    device_rpc: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="Where devices ask the chain: a gateway's /rpc. [default: the --node addresses]"
        ),
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
            device_rpc=tuple(device_rpc or ()),
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


@app.command()
def update(
    device: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this machine (32 hex digits); can be given again.")
    ] = None,
    page: Annotated[str, typer.Option(metavar="URL", help="The hub's page.")] = "http://127.0.0.1:8080",
    secret_file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="The admin secret (first line); without it you are asked.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask machines to look for a release now; each of them judges by itself whether there is one for it."""
    from dccn.wallets import secret_line

    secret = secret_line(secret_file, "The hub's admin secret")
    answer = _asked(f"{page.rstrip('/')}/api/updates", {"devices": device}, secret)
    text = f"{len(answer['devices'])} machines were asked to look for a release"
    emit({"ok": True, **answer}, text, as_json=as_json)


@app.command()
def decommission(
    device: Annotated[str, typer.Argument(help="The machine's id: 32 hex digits.")],
    page: Annotated[str, typer.Option(metavar="URL", help="The hub's page.")] = "http://127.0.0.1:8080",
    secret_file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="The admin secret (first line); without it you are asked.")
    ] = None,
    as_json: Json = False,
) -> None:
    """End a machine's life in the fleet: it leaves the chain, signs a proof of wipe, and wipes all its data.

    It is told at once, or when it comes back. What its signature proves stands in docs/appliance-owner.md.
    """
    from dccn.wallets import secret_line

    if len(device) != 32 or device.strip("0123456789abcdef"):
        raise Malformed("usage", f"a machine's id is 32 hex digits, not {device!r}: dccn hub devices lists them")
    secret = secret_line(secret_file, "The hub's admin secret")
    line = _asked(f"{page.rstrip('/')}/api/devices/{device}/decommission", {}, secret)
    emit({"ok": True, **line}, _machine(line), as_json=as_json)


def _asked(url: str, document: dict[str, object], secret: str) -> dict[str, Any]:
    """POST to the hub's admin API. Raises the hub's own refusal, or Unavailable `unreachable`."""
    import urllib3

    headers = {"Authorization": f"Bearer {secret}"}
    try:
        answer = urllib3.request("POST", url, json=document, headers=headers, timeout=ADMIN_TIMEOUT_S, retries=False)
        found = answer.json()
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Unavailable("unreachable", f"the hub's page at {url} does not answer: {error}") from None
    if answer.status >= 400:
        code = found.get("code") if isinstance(found, dict) else None
        raise Refused(code if code in REGISTRY else "check_failed", f"{url}: {found.get('detail', answer.status)}")
    return dict(found)


@app.command()
def devices(
    home: Home = None,
    trust_boot: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="You changed this machine's firmware or Secure Boot keys: pin them anew."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the machines: evidence level, what they booted and who made their TPM, as the running hub sees it."""
    from dccn.hub_page import overview

    chosen = home or data_home("hub")
    if trust_boot is not None:
        from fleet.hub.actions.offline import trust_boot_state

        trust_boot_state(chosen, trust_boot)
        emit({"ok": True, "device": trust_boot}, f"{trust_boot}: its next quote is pinned anew", as_json=as_json)
        return
    shown = overview(chosen)["devices"]
    emit({"ok": True, "devices": shown}, "\n".join(map(_machine, shown)) or "no machine yet", as_json=as_json)


@app.command()
def images(
    home: Home = None,
    add: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="The .json beside an image: its boots are believed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the images whose boots this hub believes when a TPM vouches for them, or add some."""
    from fleet.hub.attestation.images import add_image, known_images
    from fleet.hub.settings import Settings

    folder = Settings(home or data_home("hub")).images_folder
    for path in add or []:
        add_image(folder, read_input(str(path)))
    known = [{"name": image.name, "pcr11": image.pcr11.hex()} for image in known_images(folder)]
    lines = [f"{image['name']:<32}register 11 {image['pcr11']}" for image in known]
    emit({"ok": True, "images": known}, "\n".join(lines) or "no image is known", as_json=as_json)


def _machine(line: dict[str, Any]) -> str:
    booted = line["attestation"]
    if booted is None:
        said = "no TPM vouches for it"
    elif booted["believed"]:
        secured = ", Secure Boot" if booted["secure_boot"] else ""
        said = f"booted {booted['image']}{secured}; TPM of {booted['manufacturer'] or 'an unproven manufacturer'}"
    else:
        said = f"not believed: {booted['reason']}"
    end = line["decommission"]
    ended = "" if end is None else f"; decommission {end['state']}" + (f" ({end['method']})" if end["method"] else "")
    return f"{line['device']}  level {line['evidence_level']}  {said}{ended}"
