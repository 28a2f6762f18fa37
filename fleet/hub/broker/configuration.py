"""mosquitto's configuration and access list, as text. The access list is generated from the registry of topics.

Every client shows a certificate of the fleet's CA; its CN becomes user name *and* client id, so that no device can
take over another one's session. A device writes its own `up` leaves, reads its own `down` leaves, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleet.hub.identity.authority import HUB_USER
from fleet.protocol.topics import LEAVES, MAX_PACKET_BYTES

MAX_IN_FLIGHT: Final = 2_000
"""At most; a client that takes fewer says so by its own receive maximum, as devices do."""
MAX_QUEUED_MESSAGES: Final = 100_000
MAX_QUEUED_BYTES: Final = 256 * 1024 * 1024
"""Per client: what the broker keeps for a hub that restarts; devices keep their own spool beyond that."""


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """Where the broker's files are; all in one folder of mode 0700."""

    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "mosquitto.conf"

    @property
    def access_list(self) -> Path:
        return self.folder / "access.acl"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        return self.folder / "server.key"

    def all(self) -> tuple[Path, ...]:
        return (self.configuration, self.access_list, self.ca, self.certificate, self.key)


def configuration(files: BrokerFiles, host: str, port: int, user: str) -> str:
    """mosquitto.conf for a broker of one fleet on `host`:`port`, running as the system account `user`."""
    return f"""\
# Written by the hub at every start; changes are lost.
user {user}
per_listener_settings false
allow_anonymous false
acl_file {files.access_list}
persistence true
persistence_location {files.folder}/
autosave_interval 30
persistent_client_expiration 7d
max_inflight_messages {MAX_IN_FLIGHT}
max_queued_messages {MAX_QUEUED_MESSAGES}
max_queued_bytes {MAX_QUEUED_BYTES}
max_packet_size {MAX_PACKET_BYTES}
message_size_limit {MAX_PACKET_BYTES}
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
connection_messages false

listener {port} {host}
protocol mqtt
cafile {files.ca}
certfile {files.certificate}
keyfile {files.key}
require_certificate true
use_identity_as_username true
use_username_as_clientid true
"""


def access_list(fleet: str) -> str:
    """mosquitto's ACL file. `%u` is the CN of the client's certificate."""
    lines = ["# Written by the hub from the registry of topics.", f"user {HUB_USER}", "topic readwrite #", ""]
    for leaf in LEAVES:
        right = "write" if leaf.direction == "up" else "read"
        lines.append(f"pattern {right} {leaf.filter(fleet, '%u')}")
    return "\n".join(lines) + "\n"
