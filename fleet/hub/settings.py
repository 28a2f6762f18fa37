"""What the hub can be told, and which ports it takes."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.errors import Faulty

DEFAULT_HOME: Final = Path("~/.local/share/dccn/hub")
PORTS_FILE: Final = "ports.json"
PREFERRED_PORTS: Final[dict[str, int]] = {"page": 8080, "devices": 8443, "broker": 8883}
_PATIENCE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """`listen` is the address that devices reach (its certificates carry it); the page stays on loopback.

    A port of None is the remembered one, else the usual one, else a free one. `broker` is `host:port` of a broker that
    somebody else runs, with this hub's CA and access list; None starts a private mosquitto.
    """

    home: Path
    fleet: str = "home"
    listen: str = "127.0.0.1"
    page_port: int | None = None
    device_port: int | None = None
    broker_port: int | None = None
    broker: str | None = None
    rpc: tuple[str, ...] = ("http://127.0.0.1:26657",)
    record_interval_ms: int = 60_000
    pog_profile: str = "light"
    json: bool = False

    @property
    def hosts(self) -> list[str]:
        """The names that the server certificates carry."""
        names = ["127.0.0.1", "::1", "localhost", socket.gethostname()]
        if self.listen not in ("", "0.0.0.0", "::"):
            names.insert(0, self.listen)
        return list(dict.fromkeys(name for name in names if name))

    @property
    def public_host(self) -> str:
        """What devices are told to connect to."""
        return socket.gethostname() if self.listen in ("", "0.0.0.0", "::") else self.listen


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one run."""

    page: int
    devices: int
    broker: int


def choose_ports(settings: Settings) -> Ports:
    """Pick the ports and remember them in the home, since enrolled devices know them.

    Raises Faulty(port_occupied) when a port that was asked for is taken.
    """
    path = settings.home / PORTS_FILE
    remembered = _remembered(path)
    asked = {"page": settings.page_port, "devices": settings.device_port, "broker": settings.broker_port}
    addresses = {"page": "127.0.0.1", "devices": settings.listen, "broker": settings.listen}
    chosen: dict[str, int] = {}
    for name, host in addresses.items():
        port = asked[name]
        if port:
            if not _is_free(host, port, _PATIENCE_S):
                raise Faulty("port_occupied", f"port {port} for {name} on {host}: another program listens there")
        else:
            port = _pick(host, remembered.get(name), PREFERRED_PORTS[name], set(chosen.values()))
        chosen[name] = port
    path.write_text(json.dumps(chosen), encoding="ascii")
    return Ports(**chosen)


def listening_socket(host: str, port: int, name: str) -> socket.socket:
    """Listen there. Raises Faulty(port_occupied) when somebody was faster."""
    try:
        return socket.create_server((host, port), family=_family(host), backlog=512)
    except OSError as error:
        raise Faulty("port_occupied", f"port {port} for {name} on {host}: {error.strerror}") from None


def _pick(host: str, remembered: int | None, preferred: int, taken: set[int]) -> int:
    if remembered is not None and remembered not in taken and _is_free(host, remembered, _PATIENCE_S):
        return remembered
    if preferred not in taken and _is_free(host, preferred, 0):
        return preferred
    while True:
        with socket.create_server((host, 0), family=_family(host)) as server:
            port = int(server.getsockname()[1])
        if port not in taken:
            return port


def _remembered(path: Path) -> dict[str, int]:
    try:
        ports = json.loads(path.read_text(encoding="ascii"))
        return {name: port for name, port in ports.items() if isinstance(port, int) and 0 < port < 65536}
    except (OSError, ValueError, AttributeError):
        return {}


def _is_free(host: str, port: int, patience_s: float) -> bool:
    """Whether one can listen there; waits a moment for a killed predecessor's children to let go."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            socket.create_server((host, port), family=_family(host)).close()
            return True
        except PermissionError as error:
            raise Faulty("port_occupied", f"port {port} on {host}: {error.strerror}") from None
        except socket.gaierror as error:
            raise Faulty("usage", f"listening on {host!r}: {error.strerror}") from None
        except OSError as error:
            if time.monotonic() >= deadline:
                if error.errno == 99:
                    raise Faulty("usage", f"listening on {host!r}: this machine has no such address") from None
                return False
            time.sleep(0.1)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
