"""What an image is made of, as a CycloneDX 1.5 document: Debian's packages, Python's libraries, and this program.

Source: CycloneDX JSON 1.5; package URLs (purl-spec, types deb and pypi). The same content gives the same bytes: no
time of day, and a serial number that follows from the content.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from appliance.image.artifacts import Artifact
from appliance.image.packages import Package

NAMESPACE = uuid.UUID("0f6a4c0e-3f5b-5a0d-8c56-7d2c1a9be4d3")


def document(
    *,
    name: str,
    version: str,
    suite: str,
    packages: Iterable[Package],
    libraries: Mapping[str, str],
    artifacts: Iterable[Artifact] = (),
    epoch_s: int,
) -> bytes:
    """`libraries` are Python distributions by name, `artifacts` what is in it of our lock; times are Unix seconds."""
    parts = [_debian(package, suite) for package in sorted(packages)]
    parts += [_python(library, release) for library, release in sorted(libraries.items())]
    parts += [_artifact(artifact) for artifact in sorted(artifacts, key=lambda each: each.name)]
    content: dict[str, Any] = {
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "operating-system", "bom-ref": name, "name": name, "version": version},
        },
        "components": parts,
        "dependencies": [{"ref": name, "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    serial = uuid.uuid5(NAMESPACE, json.dumps(content, sort_keys=True))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:{serial}", "version": 1}
    return (json.dumps({**head, **content}, indent=1) + "\n").encode()


def _debian(package: Package, suite: str) -> dict[str, Any]:
    name, version = quote(package.name, safe=""), quote(package.version, safe="")
    url = f"pkg:deb/debian/{name}@{version}?arch={package.architecture}&distro={suite}"
    return {
        "type": "library",
        "bom-ref": url,
        "name": package.name,
        "version": package.version,
        "purl": url,
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
    }


def _python(name: str, version: str) -> dict[str, Any]:
    url = f"pkg:pypi/{quote(name.lower().replace('_', '-'), safe='')}@{quote(version, safe='')}"
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def _artifact(artifact: Artifact) -> dict[str, Any]:
    url = f"pkg:generic/{quote(artifact.name, safe='')}@{quote(artifact.version, safe='')}"
    return {
        "type": "application",
        "bom-ref": url,
        "name": artifact.name,
        "version": artifact.version,
        "purl": url,
        "licenses": [{"expression": artifact.licence}],
        "hashes": [{"alg": "SHA-256", "content": artifact.sha256}],
        "externalReferences": [{"type": "distribution", "url": artifact.url}],
    }
