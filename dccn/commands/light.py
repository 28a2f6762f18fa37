"""`dccn light`: check headers without trusting whoever sent them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chain.errors import Malformed
from dccn.output import Json, emit, read_input, read_json

app = typer.Typer(no_args_is_help=True, help="The light client: verify a header from one that you trust.")


@app.command()
def verify(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|-", help="A JSON document with trusted and untrusted header; - reads standard input."
        ),
    ] = None,
    batch: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="One such document per line; prints one verdict per line.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say SUCCESS, NOT_ENOUGH_TRUST or INVALID, by the rules of CometBFT's light client."""
    if (source is None) == (batch is None):
        raise Malformed("usage", "dccn light verify takes either one FILE or --batch FILE")
    if batch is not None:
        raise typer.Exit(verify_batch(batch))
    from chain.light.verify import verify_document

    assert source is not None
    verdict = verify_document(read_json(source))
    emit(verdict, f"{verdict['verdict']}  {verdict.get('reason') or ''}".rstrip(), as_json=as_json)
    if verdict["verdict"] != "SUCCESS":
        raise typer.Exit(1)


def verify_batch(source: str) -> int:
    """Print one verdict per line of input; exit code 0 when no line was malformed."""
    from chain.light.verify import verify_lines

    code = 0
    for verdict in verify_lines(read_input(source).splitlines()):
        print(json.dumps(verdict, separators=(",", ":")))
        code = code or int(verdict["verdict"] == "MALFORMED")
    return code
