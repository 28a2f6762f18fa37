"""`dccn elect`: who becomes block producer, and who proposes a block. The chain's own functions, on your numbers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from chain.errors import Malformed
from dccn.output import Json, emit, hex_bytes, read_json

app = typer.Typer(
    invoke_without_command=True,
    help="Repeat the chain's election of block producers, or its draw of a proposer, on given numbers.",
    context_settings={"allow_interspersed_args": True},
)


@app.command()
def producers(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="The candidates as JSON; - reads standard input.")],
    as_json: Json = False,
) -> None:
    """Draw the vacant seats among candidates by service level and stake."""
    from chain import slsbft

    document = read_json(source)
    operators = [operator(entry) for entry in listed(document, "candidates")]
    seed = hex_bytes(str(document.get("seed", "")), "seed", 32)
    seated = [(str(name).encode(), int(key)) for name, key in listed(document, "seated", optional=True)]
    drawn = slsbft.elect(seed, operators, natural(document, "seats"), seated)
    weights = {one.operator.decode(): slsbft.weight(one.service_level, one.bond) for one in operators}
    result = {"weights": weights, "drawn": [[name.decode(), key] for name, key in drawn]}
    emit(result, as_table(result), as_json=as_json)
