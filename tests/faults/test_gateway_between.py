"""A machine whose only way to the chain is a gateway: let in by its certificate, it earns and proves what it earned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from whole_network import WholeNetwork
from whole_processes import free_ports

from dccn.demo.network import Network, Places, prepare


class BehindGateway(Network):
    """The demo's network, where the hub tells its machines to ask the chain at a gateway."""

    def __init__(self, places: Places, tls_port: int) -> None:
        super().__init__(places, "127.0.0.1")
        self._tls_port = tls_port

    def start(self) -> None:
        prepare(self.places)
        self.rpc_url = str(self.children.start("node", *self._node())["rpc"])
        hub = self.children.start("hub", *self._hub())
        self.page_url, self.device_url = str(hub["page"]), str(hub["devices"])
        self.admin_secret = hub.get("admin_secret")
        self.children.start("gateway", *self._gateway())
        self.children.start("agent", *self._agent(), ready="agent_started")

    def _hub(self) -> tuple[str, ...]:
        return (*super()._hub(), "--device-rpc", f"https://127.0.0.1:{self._tls_port}/rpc")

    def _gateway(self) -> tuple[str, ...]:
        where = ("--home", str(self.places.home / "gateway"), "--hub-home", str(self.places.hub), "--port", "0")
        return (
            "gateway",
            "run",
            "--rpc",
            self.rpc_url,
            *where,
            "--tls",
            "127.0.0.1",
            "--tls-port",
            str(self._tls_port),
        )


@pytest.fixture
def network(home: Path) -> Iterator[WholeNetwork]:
    *ports, tls_port = free_ports(5)
    whole = WholeNetwork(home, ports)
    whole.network = BehindGateway(whole.places, tls_port)
    try:
        whole.start()
        yield whole
    finally:
        whole.stop()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_machine_earns_behind_a_gateway_also_one_that_is_killed(network: WholeNetwork) -> None:
    first = network.wait_for(lambda event: event.get("event") == "reward_verified", 90, "a first reward")
    network.kill("gateway")
    network.wait_for(
        lambda event: event.get("event") == "reward_verified" and event["paid_height"] > first["paid_height"],
        90,
        "a reward after the gateway died",
    )
    assert network.restarted == ["gateway"]
