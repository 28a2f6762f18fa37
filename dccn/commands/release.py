"""`dccn release`: what machines may install, signed by several people's keys, as a folder that any server can serve."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chain.errors import Malformed
from dccn.output import Json, emit

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from appliance.releases.repository import Lifetimes, Repository

app = typer.Typer(
    no_args_is_help=True, help="Releases for the appliance: sign them with several keys, keep them in one folder."
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The release folder.")]
Keys = Annotated[
    list[Path] | None, typer.Option("--key", metavar="FILE", help="A release key to sign with; can be given again.")
]
Online = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The key that renews the timestamp: publishes once enough keys have signed."),
]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How long the release keys' signatures count.")]
FreshDays = Annotated[
    int, typer.Option(min=1, max=3650, help="How long the folder can do without dccn release refresh.")
]


@app.command()
def init(
    folder: Folder,
    keys_folder: Annotated[Path, typer.Option(help="A folder outside DIR that gets the new keys.")],
    keys: Annotated[int, typer.Option(min=1, max=32, help="How many release keys to make.")] = 3,
    threshold: Annotated[int, typer.Option(min=1, max=32, help="How many of them a release takes.")] = 2,
    expires_days: Days = 365,
    fresh_days: FreshDays = 30,
    as_json: Json = False,
) -> None:
    """Make an empty release folder and its keys. Then part the release keys, and keep them off line."""
    from appliance.releases import keys as key_files
    from appliance.releases import repository

    if folder.resolve() in (keys_folder.resolve(), *keys_folder.resolve().parents):
        raise Malformed("usage", f"{keys_folder} lies in {folder}, which is served to everybody")
    if threshold > keys:
        raise Malformed("usage", f"{threshold} of {keys} keys can never sign")
    paths = [keys_folder / f"release-{number}.pem" for number in range(1, keys + 1)]
    signers = [key_files.make(path) for path in paths]
    online = key_files.make(keys_folder / "timestamp.pem")
    made = repository.create(folder, signers, threshold, online, _now(), _lifetimes(expires_days, fresh_days))
    root = folder / repository.METADATA / "1.root.json"
    text = f"{threshold} of {keys} keys in {keys_folder} make a release. Build images with --trust {root}"
    emit({"ok": True, "root": str(root), **_state(made)}, text, as_json=as_json)


@app.command()
def key(file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.")], as_json: Json = False) -> None:
    """Make one more release key, such as on the machine of somebody who will sign."""
    from appliance.releases import keys as key_files

    keyid = key_files.make(file).public_key.keyid
    emit({"ok": True, "key": keyid, "file": str(file)}, f"{file}: key {keyid}", as_json=as_json)


@app.command()
def add(
    folder: Folder,
    update: Annotated[Path, typer.Argument(metavar="UPDATE_FOLDER", help="The .update folder of an image build.")],
    release: Annotated[int, typer.Option(min=1, help="The release's number, above all before it.")],
    channel: Annotated[str, typer.Option(help="Which machines: those that follow this channel.")] = "stable",
    key: Keys = None,
    timestamp_key: Online = None,
    expires_days: Days = 365,
    fresh_days: FreshDays = 30,
    as_json: Json = False,
) -> None:
    """Check a build, put it into the folder, and sign it with the keys that are here."""
    from appliance.releases import additions

    opened, lifetimes = _open(folder), _lifetimes(expires_days, fresh_days)
    build = additions.Build.read(update)
    described = additions.add(opened, build, release=release, channel=channel, now=_now(), lifetimes=lifetimes)
    _sign_and_publish(opened, key, timestamp_key, lifetimes)
    what = f"release {release} ({described.profile} {described.version})"
    _tell(opened, what, as_json)


@app.command()
def sign(
    folder: Folder,
    key: Keys = None,
    timestamp_key: Online = None,
    fresh_days: FreshDays = 30,
    as_json: Json = False,
) -> None:
    """Add signatures to what waits. Elsewhere it takes the folder's metadata/ and pending/ alone."""
    opened = _open(folder)
    if not opened.pending:
        raise Malformed("usage", f"nothing waits for a signature in {folder}")
    if not key:
        raise Malformed("usage", "give the key to sign with: --key FILE")
    _sign_and_publish(opened, key, timestamp_key, _lifetimes(fresh_days=fresh_days))
    _tell(opened, "what waited", as_json)


@app.command()
def rotate(
    folder: Folder,
    add_key: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A key that signs from now on; it signs at once.")
    ] = None,
    remove_key: Annotated[
        list[str] | None, typer.Option(metavar="KEYID", help="A key that has no say any more, by its first digits.")
    ] = None,
    threshold: Annotated[int | None, typer.Option(min=1, max=32, help="Another number of signatures.")] = None,
    new_timestamp_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Another key for the timestamp.")
    ] = None,
    key: Keys = None,
    timestamp_key: Online = None,
    expires_days: Days = 365,
    fresh_days: FreshDays = 30,
    as_json: Json = False,
) -> None:
    """Change the keys; old and new ones have to sign it. Machines follow by themselves."""
    from appliance.releases import keys as key_files
    from appliance.releases import rotation

    opened, lifetimes = _open(folder), _lifetimes(expires_days, fresh_days)
    added = [key_files.load(path) for path in add_key or ()]
    rotation.rotate(
        opened,
        add=[signer.public_key for signer in added],
        remove=remove_key or (),
        threshold=threshold,
        online=None if new_timestamp_key is None else key_files.load(new_timestamp_key),
        now=_now(),
        lifetimes=lifetimes,
    )
    _sign_and_publish(opened, [*(add_key or ()), *(key or ())], new_timestamp_key or timestamp_key, lifetimes)
    _tell(opened, "the new keys", as_json)


@app.command()
def refresh(
    folder: Folder,
    timestamp_key: Annotated[Path, typer.Option(metavar="FILE", help="The key that renews the timestamp.")],
    fresh_days: FreshDays = 30,
    as_json: Json = False,
) -> None:
    """Say anew that nothing newer is there; publish what enough keys have signed. For a daily timer."""
    opened = _open(folder)
    _sign_and_publish(opened, None, timestamp_key, _lifetimes(fresh_days=fresh_days))
    _tell(opened, "the timestamp", as_json)


@app.command()
def drop(folder: Folder, as_json: Json = False) -> None:
    """Forget what waits for signatures."""
    opened = _open(folder)
    opened.drop_pending()
    _tell(opened, "what waited", as_json)


@app.command()
def show(folder: Folder, as_json: Json = False) -> None:
    """The channels, the keys, when what expires, and what waits for signatures."""
    state = _state(_open(folder))
    lines = [
        f"{one['channel']}: release {one['release']}, {one['profile']} {one['version']}" for one in state["releases"]
    ]
    lines += [f"{state['threshold']} of these keys sign a release:", *(f"  {keyid}" for keyid in state["keys"])]
    lines += [
        f"{role} {role_state['version']} counts until {role_state['expires']}"
        for role, role_state in state["roles"].items()
    ]
    lines += [f"{one['role']} waits: {one['signed']} of {one['needed']} signatures" for one in state["pending"]]
    emit({"ok": True, **state}, "\n".join(lines or ["no release yet"]), as_json=as_json)


@app.command()
def verify(
    folder: Folder,
    root: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The root.json of the images in the field. [default: the first]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the folder as a machine does, from a trusted root to every byte that is given out."""
    from appliance.releases import inspection, repository, trust

    opened = _open(folder)
    found = inspection.verify(opened, trust.read(root or folder / repository.METADATA / "1.root.json"))
    text = (
        f"{found.offers} releases are offered, {found.files} files of {found.size_bytes} bytes are as they were signed"
    )
    emit({"ok": True, **asdict(found)}, text, as_json=as_json)


def _sign_and_publish(
    opened: Repository, keys: list[Path] | None, timestamp_key: Path | None, lifetimes: Lifetimes
) -> None:
    from appliance.releases import additions
    from appliance.releases import keys as key_files

    signers: list[CryptoSigner] = [key_files.load(path) for path in keys or ()]
    if signers:
        opened.sign(signers)
    if timestamp_key is not None:
        opened.publish(key_files.load(timestamp_key), _now(), lifetimes)
        additions.sweep(opened)


def _open(folder: Path) -> Repository:
    from appliance.releases.repository import Repository

    return Repository.open(folder)


def _lifetimes(expires_days: int = 365, fresh_days: int = 30) -> Lifetimes:
    from appliance.releases.repository import Lifetimes

    return Lifetimes(timedelta(days=expires_days), timedelta(days=fresh_days))


def _state(opened: Repository) -> dict[str, Any]:
    from appliance.releases import additions

    role = opened.root.roles["targets"]
    return {
        "releases": additions.releases(opened.targets),
        "keys": role.keyids,
        "threshold": role.threshold,
        "roles": {
            name: {"version": one.signed.version, "expires": one.signed.expires.isoformat()}
            for name, one in opened.roles.items()
        },
        "pending": [{"role": one.role, "signed": one.signed, "needed": one.needed} for one in opened.progress()],
    }


def _tell(opened: Repository, what: str, as_json: bool) -> None:
    state = _state(opened)
    waiting = [f"{one['role']} has {one['signed']} of {one['needed']} signatures" for one in state["pending"]]
    text = f"{what}: {'; '.join(waiting)}" if waiting else f"{what}: published"
    emit({"ok": True, "published": not waiting, **state}, text, as_json=as_json)


def _now() -> datetime:
    return datetime.now(UTC)
