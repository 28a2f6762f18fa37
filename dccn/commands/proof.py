"""`dccn proof`: make, check and try proofs of compute, without a hub and without a chain."""

from __future__ import annotations

import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chain.errors import Faulty, Malformed, Unavailable
from dccn.output import Json, emit, hex_bytes, progress_bar, read_input

app = typer.Typer(
    no_args_is_help=True, help="Proofs of compute (PoG): make one, check one, or see what this machine would earn."
)
pog = typer.Typer(
    no_args_is_help=True, help="The exact matrix product that answers a beacon, and its check by Freivalds' method."
)
app.add_typer(pog, name="pog")


class ProfileName(StrEnum):
    """The sizes of a challenge."""

    test = "test"
    light = "light"
    standard = "standard"


class BackendName(StrEnum):
    """What computes."""

    cpu = "cpu"
    cuda = "cuda"


@pog.command()
def prove(
    beacon: Annotated[str, typer.Option(help="The challenge: 32 bytes hexadecimal, the beacon of a block.")],
    open_beacon: Annotated[
        str, typer.Option(help="The second beacon, which draws the rows to open: 32 bytes hexadecimal.")
    ],
    device: Annotated[str, typer.Option(help="The device id, 32 bytes hexadecimal.")],
    rows: Annotated[int, typer.Option(min=1, help="How many rows to compute; at least as many as the profile opens.")],
    out: Annotated[Path, typer.Option(help="Where to write the proof.")],
    gpu: Annotated[str, typer.Option(help="The NVML UUID of the GPU, or cpu.")] = "cpu",
    profile: ProfileName = ProfileName.test,
    backend: Annotated[
        BackendName, typer.Option(help="What computes. All backends give the same bits.")
    ] = BackendName.cpu,
    as_json: Json = False,
) -> None:
    """Compute C = A·B for a beacon, commit to it, open the drawn rows, and write the proof."""
    if backend is not BackendName.cpu:
        raise Unavailable("engine_missing", "computing with cuda: this release computes on the CPU only")
    from chain.proofs.pog.cpu import CpuBackend
    from chain.proofs.pog.profiles import profile_named
    from chain.proofs.pog.prove import compute

    question = hex_bytes(beacon, "--beacon", 32), hex_bytes(device, "--device", 32), gpu
    opened_by = hex_bytes(open_beacon, "--open-beacon", 32)
    with progress_bar("computing rows") as progress:
        computation = compute(profile_named(profile.value), *question, rows, progress, backend=CpuBackend())
    proof = computation.open(opened_by)
    data = proof.encoded()
    try:
        out.write_bytes(data)
    except OSError as error:
        raise Faulty("usage", f"writing {out}: {error.strerror}") from error
    result = {
        "ok": True,
        "root": proof.root.hex(),
        "rows": rows,
        "opened": len(proof.opened),
        "bytes": len(data),
        "file": str(out),
    }
    emit(
        result,
        f"wrote {out}: {rows} rows under root {proof.root.hex()}, {len(proof.opened)} opened, {len(data)} bytes",
        as_json=as_json,
    )


@pog.command()
def verify(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A complete proof; - reads standard input.")],
    as_json: Json = False,
) -> None:
    """Check a proof: its drawn rows, their paths, and each row against private random vectors."""
    from chain.proofs.pog.format import Proof
    from chain.proofs.pog.profiles import profile_named
    from chain.proofs.pog.verify import FleetVerifier

    data = read_input(file)
    try:
        proof = Proof.decode(data)
    except Malformed as error:
        emit({"ok": False, "rows_checked": 0, "reason": str(error)}, f"not a proof: {error}", as_json=as_json)
        raise typer.Exit(2) from error
    verdict = FleetVerifier.drawn(profile_named(proof.profile), proof.beacon, os.urandom).verify(proof)
    reason = None if verdict.ok else f"{verdict.code}: {verdict.reason}"
    sentence = "the proof holds" if verdict.ok else f"the proof does not hold: {reason}"
    text = f"{sentence} ({verdict.rows_checked} rows checked)"
    emit({"ok": verdict.ok, "rows_checked": verdict.rows_checked, "reason": reason}, text, as_json=as_json)
    if not verdict.ok:
        raise typer.Exit(1)


@app.command()
def bench(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure offline; nothing is sent to anybody.")] = False,
    profile: ProfileName = ProfileName.light,
    window_ms: Annotated[
        int, typer.Option(min=500, max=600_000, help="The challenge window, in milliseconds.")
    ] = 3_000,
    as_json: Json = False,
) -> None:
    """Measure this machine with the code of the real challenge, and predict its level and its work."""
    if not dry_run:
        raise Malformed("usage", "dccn proof bench measures offline only; say so with --dry-run")
    from chain.proofs.pog.bench import bench as measure
    from chain.proofs.pog.cpu import CpuBackend

    with progress_bar("computing rows") as progress:
        result = measure(
            backend=CpuBackend(),
            profile=profile.value,
            window_ms=window_ms,
            random_bytes=os.urandom,
            clock=time.monotonic,
            progress=progress,
        )
    level = 1 if result.verified else 0
    holds = "it holds" if result.verified else "IT DOES NOT HOLD"
    text = (
        f"{result.rows} rows of profile {result.profile} in {result.elapsed_s:.2f} s: {result.tera_ops:.4f} tera-op/s\n"
        f"proof {result.proof_bytes} bytes, checked in {result.verify_ms:.1f} ms: {holds}\n"
        f"predicted: evidence level {level}, {result.work_micro_ankr_per_hour} micro-ANKR of work per hour\n"
        "at reference prices; the reward is this machine's share of all proven work (see dccn why reward)"
    )
    document = result.document()
    emit({"ok": result.verified, "evidence_level": level, **document}, text, as_json=as_json)
    if not result.verified:
        raise typer.Exit(1)
