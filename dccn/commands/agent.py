"""`dccn agent`: what runs on the machine that earns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from dccn.homes import data_home
from dccn.output import Json, emit, listed

app = typer.Typer(
    no_args_is_help=True, help="Make this machine earn: enrol it with a hub, prove, and check what was paid."
)

Home = Annotated[
    Path | None, typer.Option(help="Where identity, spool and settings live. [default: ~/.local/share/dccn/agent]")
]
Hub = Annotated[str | None, typer.Option(help="The hub's device API, https://HOST:PORT; needed once, to enrol.")]
Token = Annotated[str | None, typer.Option(help="One-time enrolment token; without it the agent shows a claim code.")]
Pin = Annotated[
    str | None,
    typer.Option(help="SHA-256 of the hub CA's public key, first 16 bytes hexadecimal, to enrol without a token."),
]
TrustFirst = Annotated[
    bool,
    typer.Option(
        "--trust-first-use", help="Take whichever authority the hub shows, where no token and no pin names it."
    ),
]
OwnerKey = Annotated[
    Path | None, typer.Option(help="File with the owner's account key; one is made where it does not exist.")
]


@app.command()
def run(
    home: Home = None,
    hub: Hub = None,
    token: Token = None,
    ca_pin: Pin = None,
    trust_first_use: TrustFirst = False,
    owner_key: OwnerKey = None,
    prove: Annotated[bool, typer.Option(help="Answer compute challenges.")] = True,
    as_json: Json = False,
) -> None:
    """Run in the foreground: enrol if needed, record, prove, verify. With --json one event per line."""
    from appliance.agent import agent

    settings = load(
        home, hub, token, ca_pin, trust_first_use, owner_key, json=as_json or None, prove=None if prove else False
    )
    # A process that imports nothing of the command line stays under 60 MB; it keeps our pid.
    program = agent.command(settings)
    os.execv(program[0], program)


@app.command()
def enrol(
    home: Home = None,
    hub: Hub = None,
    token: Token = None,
    ca_pin: Pin = None,
    trust_first_use: TrustFirst = False,
    owner_key: OwnerKey = None,
    as_json: Json = False,
) -> None:
    """Enrol with a hub and stop; `dccn agent run` then needs no token."""
    from appliance.agent import agent

    settings = load(home, hub, token, ca_pin, trust_first_use, owner_key, json=as_json or None)
    result = agent.enrol(settings)
    emit({"ok": True, **result}, f"enrolled as device {result['device']} in fleet {result['fleet']}", as_json=as_json)


@app.command()
def status(home: Home = None, as_json: Json = False) -> None:
    """Show whether this machine is enrolled, connected, proving and paid."""
    from appliance.agent import status as agent_status
    from appliance.doctor.sentences import ailments

    document = agent_status.read(home or data_home("agent"))
    emit(document, listed({**document, "problems": list(ailments(document))}), as_json=as_json)


@app.command()
def accept(
    report: Annotated[Path, typer.Argument(help="The report that the hardware tests wrote with --report.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Sign the report of this machine's hardware tests and bring it to the hub. Exits 1 for a report of failures."""
    from appliance.acceptance.delivery import deliver

    noted = deliver(load(home, None, None, None, False, None), report)
    counts = ", ".join(f"{noted[name]} {name}" for name in ("passed", "failed", "skipped"))
    emit({"ok": noted["is_passed"], **noted}, f"the hub has it: {counts}", as_json=as_json)
    if not noted["is_passed"]:
        raise typer.Exit(1)


def load(
    home: Path | None,
    hub: str | None,
    token: str | None,
    ca_pin: str | None,
    trust_first_use: bool,
    owner_key: Path | None,
    **more: object,
) -> Any:
    from appliance.agent import settings

    return settings.load(
        home or data_home("agent"),
        hub_url=hub,
        token=token,
        ca_pin=ca_pin,
        trust_first_use=trust_first_use or None,
        owner_key_file=owner_key,
        **more,
    )
