"""A container image out of a few files, as an OCI archive that containerd and k3s import; the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Final

LAYOUT: Final = b'{"imageLayoutVersion":"1.0.0"}'
EPOCH: Final = "1970-01-01T00:00:00Z"


def archive(
    reference: str,
    files: Mapping[str, bytes],
    *,
    command: Sequence[str],
    links: Mapping[str, str] | None = None,
    architecture: str = "amd64",
) -> bytes:
    """An OCI archive of one image named `reference` with one layer: `files` (programs, by path) and `links` to them."""
    layer = _layer(files, links or {})
    config = _json(
        {
            "created": EPOCH,
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": list(command), "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _described(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [_described(layer, "application/vnd.oci.image.layer.v1.tar")],
        }
    )
    entry = _described(manifest, "application/vnd.oci.image.manifest.v1+json")
    entry["annotations"] = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
    index = _json({"schemaVersion": 2, "manifests": [entry]})
    blobs = {f"blobs/sha256/{hashlib.sha256(each).hexdigest()}": each for each in (layer, config, manifest)}
    return _tar({"oci-layout": LAYOUT, "index.json": index, **blobs}, {}, mode=0o644)


def _layer(files: Mapping[str, bytes], links: Mapping[str, str]) -> bytes:
    return _tar(files, links, mode=0o755)


def _tar(files: Mapping[str, bytes], links: Mapping[str, str], *, mode: int) -> bytes:
    """Folders first, then files and links by name; owner root, time 0."""
    folders = {str(parent) for path in (*files, *links) for parent in _parents(path)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in sorted(folders):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o755))
        for path in sorted(files):
            entry = _entry(path, tarfile.REGTYPE, mode)
            entry.size = len(files[path])
            tar.addfile(entry, io.BytesIO(files[path]))
        for path in sorted(links):
            entry = _entry(path, tarfile.SYMTYPE, 0o777)
            entry.linkname = links[path]
            tar.addfile(entry)
    return buffer.getvalue()


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = kind, mode
    return entry


def _parents(path: str) -> list[str]:
    steps = path.split("/")[:-1]
    return ["/".join(steps[: count + 1]) for count in range(len(steps))]


def _described(blob: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
