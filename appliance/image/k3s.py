"""k3s in an image: the program, and the container images that it needs before it has ever seen a registry."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from appliance.image.artifacts import Artifact
from appliance.image.profile import K3S

PROGRAM: Final = "usr/local/bin/k3s"
IMAGES: Final = "usr/lib/dccn/k3s-images"
IMPORTED_FROM: Final = "/var/lib/rancher/k3s/agent/images"
"""Where k3s looks at its start, on the data partition."""
LINKS: Final = "usr/lib/tmpfiles.d/k3s-images.conf"
OVERLAY: Final = "k3s"
ENABLED_UNITS: Final = ("k3s.service", "dccn-cluster-access.service", "dccn-cluster-access.timer")
LIBRARIES: Final = ("kubernetes",)
"""What the agent needs to speak with it."""


def install(tree: Path, files: Mapping[Artifact, Path]) -> None:
    """Put the artifacts of k3s into the tree: the program, and every other one as a file of images."""
    folder = tree / IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    links = ""
    for artifact, path in sorted(files.items(), key=lambda each: each[0].name):
        if artifact.part != K3S:
            continue
        is_program = artifact.name == "k3s"
        place = tree / PROGRAM if is_program else folder / artifact.file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        place.chmod(0o755 if is_program else 0o644)
        if not is_program:
            # k3s follows links to files of images, but does not walk through one to a folder of them.
            links += f"L+ {IMPORTED_FROM}/{artifact.file} - - - - /{IMAGES}/{artifact.file}\n"
    (tree / LINKS).write_text(links)
