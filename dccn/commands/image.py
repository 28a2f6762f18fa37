"""`dccn image`: make the file that an owner flashes, put settings into it, and flash it."""

from __future__ import annotations

import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from chain.errors import Malformed, Refused
from dccn import __version__
from dccn.output import Json, emit, note, progress_bar, read_input

app = typer.Typer(no_args_is_help=True, help="Build the image that makes a bare machine a member of a fleet.")


@app.command()
def build(
    profile: Annotated[str, typer.Option(help="qemu-test, x86-nogpu or x86-nvidia.")] = "x86-nogpu",
    output: Annotated[Path, typer.Option(help="The folder that gets the image.")] = Path("build/image"),
    version: Annotated[str, typer.Option(help="What the image calls itself.")] = __version__,
    epoch: Annotated[int | None, typer.Option(help="Time of all files, seconds. [default: the last commit's]")] = None,
    compress: Annotated[bool, typer.Option(help="Also write the image packed, as .xz.")] = True,
    lock: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only of these packages: the .lock of an earlier build.")
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Whose releases its machines believe: a release folder's 1.root.json."),
    ] = None,
    artifacts: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where k3s and the like are. [default: ~/.cache/dccn/artifacts]")
    ] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Fetch what is not there from its publisher.")] = False,
    without: Annotated[
        list[str] | None, typer.Option(metavar="PART", help="Leave out k3s or container-toolkit; can be given again.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Signs kernel modules. [default: ~/.cache/dccn/keys]")
    ] = None,
    secure_boot: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Sign for Secure Boot with the keys of dccn image keys DIR.")
    ] = None,
    enrol_keys: Annotated[
        bool, typer.Option("--enrol-keys", help="Let a machine whose firmware waits for keys take them by itself.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build an image out of Debian's packages and this checkout; needs root, since it works in a chroot."""
    from appliance.image import build as building
    from appliance.image import profile as profiles
    from appliance.image import secure_boot as signing

    if enrol_keys and secure_boot is None:
        raise Malformed("usage", "--enrol-keys needs keys: --secure-boot DIR")
    boot_keys = signing.open_keys(secure_boot) if secure_boot is not None else None
    begun_s = time.monotonic()

    def say(step: str) -> None:
        note(f"image: {time.monotonic() - begun_s:5.0f} s  {step}")

    home = Path.home() / ".cache" / "dccn"
    epoch_s = epoch if epoch is not None else _last_commit_s()
    built = building.build(
        profiles.load(profile),
        output.absolute(),
        home / "image",
        version=version,
        epoch_s=epoch_s,
        say=say,
        compress=compress,
        lock=lock,
        trust=trust,
        files=artifacts or home / "artifacts",
        fetching=fetch,
        without=without or (),
        keys=keys or home / "keys",
        boot_keys=boot_keys,
        enrols_keys=enrol_keys,
    )
    emit({"ok": True, **asdict(built)}, f"{built.image}: root hash {built.root_hash}", as_json=as_json)


@app.command()
def keys(
    folder: Annotated[Path, typer.Argument(help="A new folder; whoever has it can sign what the machines start.")],
    also: Annotated[
        list[Path] | None,
        typer.Option(metavar="CERTIFICATE", help="Of somebody else whose programs may start, such as option ROMs."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make keys for Secure Boot: the platform key, the key exchange key and the key that signs images."""
    from appliance.image import secure_boot as signing

    made = signing.make_keys(folder, also or [])
    emit({"ok": True, "keys": str(made.folder)}, f"{folder} has the keys; keep it offline and safe", as_json=as_json)


@app.command()
def configure(
    image: Annotated[Path, typer.Argument(help="An unpacked image, or a flashed disk such as /dev/sdb.")],
    config: Annotated[Path | None, typer.Option(help="A whole dccn.toml, instead of the options below.")] = None,
    hub: Annotated[str | None, typer.Option(help="The hub's address, https://HOST:PORT.")] = None,
    token: Annotated[str | None, typer.Option(help="One-time enrolment token; without it: a claim code.")] = None,
    ca_pin: Annotated[str | None, typer.Option(help="The hub's certificate authority, 32 hex digits.")] = None,
    hostname: Annotated[str | None, typer.Option(help="The machine's name in its network.")] = None,
    address: Annotated[str | None, typer.Option(help="A fixed address, 192.168.1.5/24. [default: DHCP]")] = None,
    gateway: Annotated[str | None, typer.Option(help="With a fixed address: the router.")] = None,
    dns: Annotated[list[str] | None, typer.Option(help="A name server; can be given again.")] = None,
    ntp: Annotated[list[str] | None, typer.Option(help="A time server; can be given again.")] = None,
    as_json: Json = False,
) -> None:
    """Write the owner's settings into an image or onto a flashed disk; whatever the machine would ignore is refused."""
    from appliance.image import configure as configuring

    composed = configuring.compose(
        {
            "hub": {"url": hub, "token": token, "ca_pin": ca_pin},
            "network": {"hostname": hostname, "address": address, "gateway": gateway, "dns": dns, "ntp": ntp},
        }
    )
    if config is None and not composed:
        raise Malformed("usage", "nothing to configure: give --config FILE, or --hub and --token; see --help")
    settings = configuring.configure(image, read_input(str(config)) if config is not None else composed)
    result = {"ok": True, "image": str(image), "hub_url": settings.hub_url, "has_token": settings.token is not None}
    emit(result, f"{image} is configured for {settings.hub_url or 'no hub yet'}", as_json=as_json)


@app.command()
def disks(as_json: Json = False) -> None:
    """List this machine's disks, and which of them could be flashed."""
    from appliance.image import disks as machine

    there = machine.found()
    rows = [
        {
            "disk": str(disk.path),
            "size_bytes": disk.size_bytes,
            "model": disk.model,
            "removable": disk.is_removable,
            "refused": disk.refusal,
        }
        for disk in there
    ]
    lines = [
        f"{row['disk']:<16}{decimal(disk.size_bytes):>10}  {row['model'] or 'unknown model':<28}"
        f"{'' if row['refused'] is None else 'not to be written: ' + str(row['refused'])}".rstrip()
        for row, disk in zip(rows, there, strict=True)
    ]
    emit({"ok": True, "disks": rows}, "\n".join(lines) or "no disk was found", as_json=as_json)


@app.command()
def flash(
    image: Annotated[Path, typer.Argument(help="An image: .img, or .img.xz.")],
    device: Annotated[Path, typer.Argument(help="The whole disk, such as /dev/sdb; see dccn image disks.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; everything on the disk is lost.")] = False,
    as_json: Json = False,
) -> None:
    """Write an image onto a disk and read it back; refuses disks that are in use, and asks before it writes."""
    from appliance.image import disks as machine
    from appliance.image import flash as flashing

    disk = machine.open_to_write(device)
    what = f"{device}, {disk.model or 'unknown model'}, {decimal(disk.size_bytes)}"
    if not yes:
        typed = typer.prompt(f"Everything on {what} is lost. Type {device.name} to go on", err=True)
        if typed != device.name:
            raise Refused("disk_refused", f"{device} was not written: {typed!r} was typed, not {device.name!r}")
    with progress_bar("writing") as progress:
        flashed = flashing.flash(image, device, progress)
    result = {"ok": True, "device": str(device), **asdict(flashed)}
    emit(result, f"{what} holds {image.name}; every byte was read back", as_json=as_json)


def _last_commit_s() -> int:
    """The time of the checkout's last commit, so that two builds of it are the same; 2026-01-01 without git."""
    asked = subprocess.run(["git", "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False)
    return int(asked.stdout) if asked.returncode == 0 and asked.stdout.strip().isdigit() else 1_767_225_600
