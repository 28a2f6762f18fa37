"""The demo's network: one node, one hub and this machine as its miner, each a process of its own in one home."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from dccn.demo.children import Children, unusable

FLEET = "demo"
RECORD_INTERVAL_MS = 1_000
HTTP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts keep their data."""

    home: Path

    @property
    def node(self) -> Path:
        return self.home / "node"

    @property
    def hub(self) -> Path:
        return self.home / "hub"

    @property
    def agent(self) -> Path:
        return self.home / "agent"

    @property
    def logs(self) -> Path:
        return self.home / "logs"


class Network:
    """Starts the parts in their order and knows how to reach them."""

    def __init__(self, places: Places, listen: str) -> None:
        self.places = places
        self.listen = listen
        self.children = Children(places.logs)
        self.rpc_url = ""
        self.page_url = ""
        self.device_url = ""
        self.admin_secret: str | None = None

    def start(self) -> None:
        """Bring up chain, hub and agent; each is started when the one before it says that it is ready."""
        prepare(self.places)
        self.rpc_url = str(self.children.start("node", *self._node())["rpc"])
        hub = self.children.start("hub", *self._hub())
        self.page_url, self.device_url = str(hub["page"]), str(hub["devices"])
        self.admin_secret = hub.get("admin_secret")
        self.children.start("agent", *self._agent(), ready="agent_started")

    def stop(self) -> None:
        self.children.stop()

    def join_line(self) -> str:
        """What to type on another machine to let it join, with a token made for it."""
        return f"dccn agent run --hub {self.device_url} --token {self._new_token()}"

    def _new_token(self) -> str:
        """A one-time enrolment token: from the running hub, or from its home where the secret was shown long ago."""
        if self.admin_secret is None:
            from fleet.hub.actions.offline import create_token

            return create_token(self.places.hub, FLEET)
        request = Request(
            f"{self.page_url}/api/tokens", method="POST", headers={"Authorization": f"Bearer {self.admin_secret}"}
        )
        with urlopen(request, timeout=HTTP_TIMEOUT_S) as answer:
            return str(json.load(answer)["token"])

    def _node(self) -> tuple[str, ...]:
        # Other machines' light clients follow the chain too, so RPC listens where they reach it.
        return ("node", "run", "--home", str(self.places.node), "--listen", self.listen)

    def _hub(self) -> tuple[str, ...]:
        where = ("--home", str(self.places.hub), "--fleet", FLEET, "--listen", self.listen, "--node", self.rpc_url)
        return ("hub", "run", *where, "--record-interval-ms", str(RECORD_INTERVAL_MS))

    def _agent(self) -> tuple[str, ...]:
        enrolled = (self.places.agent / "enrolment.json").exists()
        token = () if enrolled else ("--hub", self.device_url, "--token", self._new_token())
        return ("agent", "run", "--home", str(self.places.agent), *token)


def prepare(places: Places) -> None:
    """Make the hub's keys and a genesis that funds it, unless an earlier run left them.

    Raises Faulty (`home_invalid`, `disk_full`) for a home that cannot be one.
    """
    from chain.node import home as node_home
    from fleet.hub.identity.keyfiles import open_account

    try:
        if node_home.exists(places.node):
            return
        places.hub.mkdir(parents=True, exist_ok=True)
        node_home.init_demo(places.node, open_account(places.hub).address, time.time_ns())
    except OSError as error:
        raise unusable(error, f"making the data directory {places.home}") from error
