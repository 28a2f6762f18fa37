"""`dccn vrf`: prove and verify the randomness that the chain's beacon is made of (RFC 9381)."""

from __future__ import annotations

from typing import Annotated

import typer

from dccn.output import Json, emit, hex_bytes

app = typer.Typer(
    no_args_is_help=True,
    help="Verifiable randomness (ECVRF-EDWARDS25519-SHA512-TAI, RFC 9381), which the chain's beacon is made of.",
)

Alpha = Annotated[str, typer.Option(help="The input, hexadecimal.")]


@app.command()
def prove(
    secret: Annotated[str, typer.Option(help="The secret key, 32 bytes hexadecimal.")],
    alpha: Alpha,
    as_json: Json = False,
) -> None:
    """Prove alpha under a secret key; prints the proof pi and its output beta."""
    from chain.crypto import vrf

    pi = vrf.prove(hex_bytes(secret, "--secret", 32), hex_bytes(alpha, "--alpha"))
    beta = vrf.proof_to_hash(pi)
    emit({"pi": pi.hex(), "beta": beta.hex()}, f"pi   {pi.hex()}\nbeta {beta.hex()}", as_json=as_json)


@app.command()
def verify(
    public: Annotated[str, typer.Option(help="The public key, 32 bytes hexadecimal.")],
    alpha: Alpha,
    pi: Annotated[str, typer.Option(help="The proof, 80 bytes hexadecimal.")],
    as_json: Json = False,
) -> None:
    """Check a proof against a public key and alpha; prints beta where it holds."""
    from chain.crypto import vrf

    beta = vrf.verify(hex_bytes(public, "--public", 32), hex_bytes(alpha, "--alpha"), hex_bytes(pi, "--pi", 80))
    if beta is None:
        emit({"ok": False, "beta": None}, "the proof does not hold", as_json=as_json)
        raise typer.Exit(1)
    emit({"ok": True, "beta": beta.hex()}, f"the proof holds\nbeta {beta.hex()}", as_json=as_json)
