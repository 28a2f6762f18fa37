"""Container images of our own making: the same bytes every time, and whole."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from appliance.image import oci

FILES = {"bin/tool": b"#!/bin/sh\n", "etc/deep/er/file": b"x"}


def opened(archive: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(archive))


def content(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


def test_the_same_files_give_the_same_bytes_in_whatever_order_they_come() -> None:
    first = oci.archive("localhost/a:1", FILES, command=["/bin/tool"])
    again = oci.archive("localhost/a:1", dict(reversed(FILES.items())), command=["/bin/tool"])
    assert first == again
    assert hashlib.sha256(first).hexdigest() == "0d3eb452ac682b3409a45ef2eb10d41ec444174d8cfd72461fd7743489084ca9"
    assert oci.archive("localhost/a:2", FILES, command=["/bin/tool"]) != first


def test_every_part_has_the_size_and_hash_that_the_part_above_it_names() -> None:
    tar = opened(oci.archive("localhost/a:1", FILES, command=["/bin/tool"], links={"bin/sh": "tool"}))
    assert json.loads(content(tar, "oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(content(tar, "index.json"))["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "localhost/a:1"
    manifest = json.loads(described(tar, entry))
    config = json.loads(described(tar, manifest["config"]))
    (layer,) = manifest["layers"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"]] and config["config"]["Cmd"] == ["/bin/tool"]
    inner = opened(described(tar, layer))
    assert content(inner, "etc/deep/er/file") == b"x" and inner.getmember("bin/sh").linkname == "tool"
    assert inner.getmember("bin/tool").mode == 0o755 and {each.mtime for each in inner} == {0}
    assert inner.getnames() == ["bin", "etc", "etc/deep", "etc/deep/er", "bin/tool", "etc/deep/er/file", "bin/sh"]


def described(tar: tarfile.TarFile, descriptor: dict[str, object]) -> bytes:
    algorithm, _, digest = str(descriptor["digest"]).partition(":")
    blob = content(tar, f"blobs/{algorithm}/{digest}")
    assert hashlib.sha256(blob).hexdigest() == digest and len(blob) == descriptor["size"]
    return blob
