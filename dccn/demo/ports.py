"""Which ports the demo's parts listen on: the usual one where it is free, else one the kernel gives."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from chain.errors import Faulty


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports: the page (HTTP), the device API (HTTPS), MQTT over TLS, the node's RPC."""

    page: int = 8080
    device: int = 8443
    mqtt: int = 8883
    rpc: int = 26657


def choose(address: str, wanted: Ports) -> Ports:
    """The wanted ports as far as they are free on `address`, else free ones; Faulty where the address is not ours."""
    return Ports(
        page=free_port("127.0.0.1", wanted.page),
        device=free_port(address, wanted.device),
        mqtt=free_port(address, wanted.mqtt),
        rpc=free_port("127.0.0.1", wanted.rpc),
    )


def free_port(address: str, wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                return int(probe.getsockname()[1])
            except OSError as error:
                reason = error.strerror
    raise Faulty("port_occupied", f"listening on {address}: {reason}")
