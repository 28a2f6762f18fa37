"""`dccn elect`: who becomes block producer, and who proposes a block. The chain's own functions, on your numbers."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from chain import slsbft
from chain.errors import Malformed
from dccn.output import Json, emit, hex_bytes, read_json

MAX_SEATS = 10_000


class FileFirst(TyperGroup):
    """`dccn elect FILE` needs no name for its main command; `dccn elect proposer` keeps its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["producers", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=FileFirst,
    no_args_is_help=True,
    help="Repeat the chain's election of block producers (dccn elect FILE), or its draw of a proposer.",
)


@app.command()
def producers(
    source: Annotated[
        str, typer.Argument(metavar="FILE|-", help="Candidates, seed and seats as JSON; - reads standard input.")
    ],
    as_json: Json = False,
) -> None:
    """Draw the vacant seats among candidates, by the square root of service level times bond."""
    document = read_json(source)
    operators = [operator(entry) for entry in items(document, "candidates")]
    names = [one.id for one in operators]
    if len(set(names)) != len(names):
        raise Malformed("malformed", "candidates: one operator is named twice")
    seated = [seat(entry) for entry in items(document, "seated")] if "seated" in document else []
    seats = natural(document, "seats", MAX_SEATS)
    drawn = slsbft.elect(hex_bytes(str(document.get("seed", "")), "seed", 32), operators, seats, seated)
    weights = {one.id.decode(): slsbft.weight(one.service_level, one.bond) for one in operators}
    result = {"weights": weights, "drawn": [[name.decode(), key] for name, key in drawn]}
    lines = [f"{name:<24}{weight:>20}" for name, weight in weights.items()]
    draws = [f"{number + 1:>4}  {name.decode()} key {key}" for number, (name, key) in enumerate(drawn)]
    emit(
        result,
        "\n".join(["operator                              weight", *lines, "", "drawn, in order", *draws]),
        as_json=as_json,
    )


@app.command()
def proposer(
    beacon: Annotated[str, typer.Option(help="The beacon of two heights before, 32 bytes hexadecimal.")],
    height: Annotated[int, typer.Option(min=1, max=2**63 - 1)],
    validators: Annotated[int, typer.Option(min=1, max=MAX_SEATS, help="How many validators there are.")],
    round_: Annotated[int, typer.Option("--round", min=0, max=2**31 - 1)] = 0,
    as_json: Json = False,
) -> None:
    """Draw the proposer of a height and round: an index into the validators in ascending order of their address."""
    index = slsbft.proposer(hex_bytes(beacon, "--beacon", 32), height, round_, validators)
    emit(
        {"index": index}, f"validator {index} of {validators} proposes height {height}, round {round_}", as_json=as_json
    )


def operator(entry: Any) -> slsbft.Operator:
    if not isinstance(entry, dict) or not isinstance(entry.get("operator"), str):
        raise Malformed("malformed", f"candidates: {json.dumps(entry)[:80]} names no operator")
    return slsbft.Operator(
        id=entry["operator"].encode(),
        service_level=natural(entry, "service_level", 2**128 - 1),
        bond=natural(entry, "bond", 2**128 - 1),
        keys=natural(entry, "keys", MAX_SEATS),
    )


def seat(entry: Any) -> slsbft.Seat:
    if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) and type(entry[1]) is int):
        raise Malformed("malformed", f"seated: {json.dumps(entry)[:80]} is not [operator, key number]")
    return entry[0].encode(), entry[1]


def items(document: dict[str, Any], name: str) -> list[Any]:
    value = document.get(name)
    if not isinstance(value, list):
        raise Malformed("malformed", f"{name}: expected a list, found {type(value).__name__}")
    return value


def natural(document: dict[str, Any], name: str, highest: int) -> int:
    """A whole number from 0 to `highest`, given as a number or as a decimal string."""
    value = document.get(name)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 39:
        value = int(value)
    if type(value) is not int or not 0 <= value <= highest:
        raise Malformed(
            "malformed", f"{name}: {json.dumps(document.get(name))[:80]} is not a whole number from 0 to {highest}"
        )
    return value
