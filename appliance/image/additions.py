"""What an image gets besides Debian's packages and our own files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.image.artifacts import Artifact
from appliance.image.module_signing import ModuleKey


@dataclass(frozen=True, slots=True)
class Additions:
    """Files of `artifacts.lock`; and for a driver, where built modules are kept, and their key when it is needed."""

    files: Mapping[Artifact, Path]
    cache: Path
    module_key: Callable[[], ModuleKey]

    @property
    def parts(self) -> frozenset[str]:
        """The parts of an image that the files are for."""
        return frozenset(artifact.part for artifact in self.files)
