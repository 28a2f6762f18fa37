"""Entry point of `dccn`: gathers the commands and turns every failure into one sentence and an exit code."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from typing import Annotated

import typer

from chain.errors import DccnError
from dccn import __version__, logs
from dccn.commands import (
    agent,
    deal,
    demo,
    doctor,
    elect,
    gateway,
    genesis,
    hub,
    image,
    index,
    light,
    multisig,
    node,
    node_doctor,
    proof,
    query,
    release,
    tx,
    validator,
    vote,
    vrf,
    wallet,
    why,
)

app = typer.Typer(
    name="dccn",
    help="Turn idle machines into a cloud that pays for proven work.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

app.command(name="demo")(demo.demo)
app.add_typer(hub.app, name="hub")
app.add_typer(agent.app, name="agent")
node.app.add_typer(index.app, name="index")
node.app.command(name="doctor")(node_doctor.doctor)
node.app.command(name="bond")(validator.bond)
node.app.command(name="register")(validator.register)
node.app.command(name="unregister")(validator.unregister)
app.command(name="doctor")(doctor.doctor)
app.add_typer(node.app, name="node")
app.add_typer(gateway.app, name="gateway")
app.add_typer(genesis.app, name="genesis")
validator.app.add_typer(vote.app, name="vote")
app.add_typer(validator.app, name="validator")
app.add_typer(image.app, name="image")
app.add_typer(release.app, name="release")
app.add_typer(wallet.app, name="wallet")
app.add_typer(tx.app, name="tx")
app.add_typer(multisig.app, name="multisig")
app.add_typer(deal.app, name="deal")
app.add_typer(query.app, name="query")
app.add_typer(light.app, name="light")
app.add_typer(proof.app, name="proof")
app.add_typer(why.app, name="why")
app.add_typer(elect.app, name="elect")
app.add_typer(vrf.app, name="vrf")


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"dccn {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=show_version, is_eager=True, help="Print the version."),
    log_format: Annotated[logs.LogFormat, typer.Option(help="How to log, on stderr.")] = logs.LogFormat.text,
    log_level: Annotated[logs.LogLevel, typer.Option(help="From what on to log.")] = logs.LogLevel.warning,
) -> None:
    """Turn idle machines into a cloud that pays for proven work."""
    logs.configure(log_format, log_level)


def run() -> None:
    """Run the command line. Exit codes: 0 ok, 1 check or operation failed, 2 wrong usage or input, 3 unreachable."""
    try:
        app()
    except DccnError as error:
        fail(error)
    except BrokenPipeError:
        # Whoever read our output has gone; a second error at interpreter exit would only confuse.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        fail_unforeseen()


def fail(error: DccnError) -> None:
    """Print the error as one line on stderr (and as JSON on stdout with --json), and exit with its code."""
    if "--json" in sys.argv:
        document = {"ok": False, "code": error.code, "error": error.message, "remedy": error.remedy}
        print(json.dumps(document, separators=(",", ":")))
    print(f"dccn: {str(error).rstrip('.')}. {error.remedy}", file=sys.stderr)
    sys.exit(error.exit_code)


def fail_unforeseen() -> None:
    """A fault of ours: the traceback goes to a file, the user gets one sentence that names it."""
    with tempfile.NamedTemporaryFile("w", prefix="dccn-fault-", suffix=".txt", delete=False) as report:
        traceback.print_exc(file=report)
    reason = sys.exc_info()[1]
    print(f"dccn: unforeseen {type(reason).__name__}: {reason}. Please report it with {report.name}.", file=sys.stderr)
    sys.exit(1)
