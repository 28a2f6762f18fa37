"""A machine with a TPM in front of a real hub's HTTPS API, both in one process."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from litestar.testing import TestClient
from sqlalchemy import insert

from appliance.agent.identity import Identity, open_identity
from appliance.agent.tpm.attestation import Attestation
from chain.errors import REGISTRY, Refused
from fleet.hub.actions.bus import EventBus
from fleet.hub.actions.desk import Desk
from fleet.hub.api.board import Board
from fleet.hub.api.context import Hub
from fleet.hub.api.devices import device_app
from fleet.hub.api.overview import DeviceLine, overview
from fleet.hub.attestation.challenges import Challenges
from fleet.hub.identity.membership import Identity as HubIdentity
from fleet.hub.ports import ChainView
from fleet.hub.settings import Ports, Settings
from fleet.hub.store import open_store
from fleet.hub.store.tables import devices
from fleet.protocol.enrolment import COSE_MEDIA_TYPE
from fleet.protocol.measured_image import MeasuredImage
from tests.measured_boot import Boot

RECORD_KEY = b"\x0e" * 32
"""The Ed25519 key that this boot's records are signed with."""


class HandTime:
    """Milliseconds since 1970 that pass when a test says so."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms


@dataclass
class AttestingHub:
    """The hub, its clock, and a client of its device API."""

    hub: Hub
    clock: HandTime
    client: TestClient[Any]

    def knows(self, image: MeasuredImage) -> None:
        folder = self.hub.settings.images_folder
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(image.document())
        (folder / f"{image.name.replace(' ', '-')}.json").write_text(text)

    def trusts(self, certificate: bytes) -> None:
        """A TPM vendor."""
        self.hub.settings.vendors_folder.mkdir(parents=True, exist_ok=True)
        (self.hub.settings.vendors_folder / "vendor.pem").write_bytes(certificate)

    def enrols(self, identity: Identity) -> None:
        """As if it had come with a token."""
        values = {"topic_id": identity.topic_id, "fleet": "home", "identity_key": identity.public.encoded()}
        with self.hub.desk.store.begin() as connection:
            connection.execute(
                insert(devices).values(device=identity.device, enrolled_ms=1, enrolled_by="token", **values)
            )

    def line(self, identity: Identity) -> DeviceLine:
        """What the page and the API show of the machine."""
        shown = overview(self.hub.desk.store, self.hub.board, ChainView(), "home", self.clock())
        return next(line for line in shown.devices if line.device == identity.topic_id)

    # What the agent's HubClient offers to the component:

    def nonce(self) -> bytes:
        return bytes.fromhex(self.client.get("/v1/nonce").json()["nonce"])

    def post_cose(self, path: str, envelope: bytes) -> bytes:
        answer = self.client.post(path, content=envelope, headers={"Content-Type": COSE_MEDIA_TYPE})
        if answer.status_code >= 400:
            document = answer.json()
            assert document["code"] in REGISTRY, document
            raise Refused(document["code"], document["detail"])
        return answer.content


@contextmanager
def attesting_hub(home: Path) -> Iterator[AttestingHub]:
    clock = HandTime()
    home.mkdir()
    store = open_store(home)
    desk = Desk(store, EventBus(), clock)
    identity = HubIdentity.open(home, "home", clock)
    board = Board(clock)
    settings = Settings(home=home)
    hub = Hub(
        settings=settings,
        ports=Ports(page=8080, devices=8443, broker=8883),
        desk=desk,
        identity=identity,
        chain=SimpleNamespace(),  # type: ignore[arg-type]
        proofs=SimpleNamespace(),  # type: ignore[arg-type]
        commands=SimpleNamespace(),  # type: ignore[arg-type]
        board=board,
        attestation=Challenges(settings.vendors_folder, clock, secrets.token_bytes),
        broker=("127.0.0.1", 8883),
    )
    with TestClient(device_app(hub), base_url="https://hub.local") as client:
        yield AttestingHub(hub, clock, client)
    store.close()


@dataclass
class Machine:
    """A machine that booted: its identity in the TPM, and the component that attests."""

    identity: Identity
    boot: Boot
    events: list[tuple[str, dict[str, object]]]
    judged: list[object]
    attestation: Attestation


def machine(home: Path, tcti: str, boot: Boot, hub: AttestingHub, *, known: bool = False) -> Machine:
    """Measure the boot into the TPM and open the identity there; the hub gets to know it, unless it does (`known`)."""
    boot.replay_into(tcti)
    identity = open_identity(home / "identity.key", tcti)
    assert identity.tpm_key is not None, identity.without_tpm
    if not known:
        hub.enrols(identity)
    events: list[tuple[str, dict[str, object]]] = []
    judged: list[object] = []
    attestation = Attestation(
        identity,
        identity.tpm_key,
        hub,  # type: ignore[arg-type]
        lambda: hub.hub.identity.keys.command.public,
        lambda event, **fields: events.append((event, fields)),
        judged.append,
        lambda: RECORD_KEY,
        lambda: boot.log,
    )
    return Machine(identity, boot, events, judged, attestation)
