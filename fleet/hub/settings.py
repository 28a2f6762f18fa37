"""What the hub can be told, and which ports it takes."""

from __future__ import annotations

import errno
import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.errors import Faulty, Malformed

DEFAULT_HOME: Final = Path("~/.local/share/dccn/hub")
PORTS_FILE: Final = "ports.json"
PREFERRED_PORTS: Final[dict[str, int]] = {"page": 8080, "devices": 8443, "broker": 8883}
BACKLOG: Final = 512
_PATIENCE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """`listen` is the address that devices reach (its certificates carry it); the page stays on loopback.

    A port of None is the remembered one, else the usual one, else a free one; once devices know it, it stays. `broker`
    is `host:port` of a broker that somebody else runs, with this hub's CA and access list; None starts a private
    mosquitto. `device_rpc` is where devices are told to ask the chain, perhaps a gateway; empty: where the hub asks.
    """

    home: Path
    fleet: str = "home"
    listen: str = "127.0.0.1"
    page_port: int | None = None
    device_port: int | None = None
    broker_port: int | None = None
    broker: str | None = None
    rpc: tuple[str, ...] = ("http://127.0.0.1:26657",)
    device_rpc: tuple[str, ...] = ()
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
    def vendors_folder(self) -> Path:
        """Certificates of TPM vendors, as the hub's admin put them there."""
        return self.home / "attestation/vendors"

    @property
    def images_folder(self) -> Path:
        """One JSON file for each image whose boots are believed."""
        return self.home / "attestation/images"

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


def listen(settings: Settings) -> tuple[Ports, dict[str, socket.socket]]:
    """Choose the ports, remember them in the home (enrolled devices know them), and listen on those of `page` and
    `devices`; the broker opens its own. Raises Faulty(port_occupied) when a port that was asked for is taken.
    """
    path = settings.home / PORTS_FILE
    remembered = _remembered(path)
    asked = {"page": settings.page_port, "devices": settings.device_port, "broker": settings.broker_port}
    hosts = {"page": "127.0.0.1", "devices": settings.listen, "broker": settings.listen}
    sockets: dict[str, socket.socket] = {}
    try:
        for name, host in hosts.items():
            wanted = asked[name] or remembered.get(name) or PREFERRED_PORTS[name]
            patience_s = _PATIENCE_S if asked[name] or name in remembered else 0.0
            found = _listen(host, wanted, patience_s)
            # Enrolled devices know two of the ports: moving away from them would lose the fleet.
            known = name != "page" and name in remembered
            if found is None and (asked[name] or known):
                told = ", and enrolled devices know this port" if known else ""
                raise Faulty(
                    "port_occupied", f"port {wanted} for {name} on {host}: another program listens there{told}"
                )
            sockets[name] = found or socket.create_server((host, 0), family=_family(host), backlog=BACKLOG)
    except BaseException:
        for sock in sockets.values():
            sock.close()
        raise
    chosen = {name: int(sock.getsockname()[1]) for name, sock in sockets.items()}
    path.write_text(json.dumps(chosen), encoding="ascii")
    sockets.pop("broker").close()
    return Ports(**chosen), sockets


def _remembered(path: Path) -> dict[str, int]:
    try:
        ports = json.loads(path.read_text(encoding="ascii"))
        return {name: port for name, port in ports.items() if isinstance(port, int) and 0 < port < 65536}
    except (OSError, ValueError, AttributeError):
        return {}


def _listen(host: str, port: int, patience_s: float) -> socket.socket | None:
    """Listen there, or None when it is taken; waits a moment for a killed predecessor's children to let go."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return socket.create_server((host, port), family=_family(host), backlog=BACKLOG)
        except socket.gaierror as error:
            raise Malformed("usage", f"listening on {host!r}: {error.strerror}") from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise Malformed("usage", f"listening on {host!r}: this machine has no such address") from None
            if error.errno != errno.EADDRINUSE:
                raise Faulty("port_occupied", f"port {port} on {host}: {error.strerror}") from None
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.1)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
