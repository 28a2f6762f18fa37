"""`dccn image`: make the file that an owner flashes."""

from __future__ import annotations

import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dccn import __version__
from dccn.output import Json, emit, note

app = typer.Typer(no_args_is_help=True, help="Build the image that makes a bare machine a member of a fleet.")


@app.command()
def build(
    profile: Annotated[str, typer.Option(help="qemu-test or x86-nogpu.")] = "x86-nogpu",
    output: Annotated[Path, typer.Option(help="The folder that gets the image.")] = Path("build/image"),
    version: Annotated[str, typer.Option(help="What the image calls itself.")] = __version__,
    epoch: Annotated[int | None, typer.Option(help="Time of all files, seconds. [default: the last commit's]")] = None,
    compress: Annotated[bool, typer.Option(help="Also write a .zst of the image.")] = True,
    as_json: Json = False,
) -> None:
    """Build an image out of Debian's packages and this checkout; needs root, since it works in a chroot."""
    from appliance.image import build as building
    from appliance.image import profile as profiles

    begun_s = time.monotonic()

    def say(step: str) -> None:
        note(f"image: {time.monotonic() - begun_s:5.0f} s  {step}")

    cache = Path.home() / ".cache" / "dccn" / "image"
    epoch_s = epoch if epoch is not None else _last_commit_s()
    built = building.build(
        profiles.load(profile), output.absolute(), cache, version=version, epoch_s=epoch_s, say=say, compress=compress
    )
    emit({"ok": True, **asdict(built)}, f"{built.image}: root hash {built.root_hash}", as_json=as_json)


def _last_commit_s() -> int:
    """The time of the checkout's last commit, so that two builds of it are the same; 2026-01-01 without git."""
    asked = subprocess.run(["git", "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False)
    return int(asked.stdout) if asked.returncode == 0 and asked.stdout.strip().isdigit() else 1_767_225_600
