"""Allow and deny lists: text files of device ids and networks, read again when they change."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from chain import files
from chain.errors import Faulty
from chain.gateway.admission.peer import Peer, address_of, network_of
from chain.gateway.admission.watched import WatchedFile

LIST_MAX_BYTES: Final = 4 << 20

Network = IPv4Network | IPv6Network

_DEVICE = re.compile("[0-9a-fA-F]{64}", re.ASCII)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PeerList:
    """Device ids (32 bytes) and networks."""

    devices: frozenset[bytes] = frozenset()
    networks: tuple[Network, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.devices or self.networks)

    def __contains__(self, peer: Peer) -> bool:
        if peer.device is not None and peer.device in self.devices:
            return True
        address = peer.address
        return address is not None and any(address in network for network in self.networks)


def parse_list(text: str, source: str) -> PeerList:
    """One device id (64 hex digits), address or network a line, `#` begins a comment.

    Raises Faulty `home_invalid` with the line that is none of them.
    """
    devices, networks = set(), []
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        if _DEVICE.fullmatch(entry):
            devices.add(bytes.fromhex(entry))
            continue
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            raise Faulty(
                "home_invalid", f"line {number} of {source} is no device id, address or network: {entry[:80]!r}"
            ) from None
    return PeerList(frozenset(devices), tuple(networks))


class ListFile:
    """A list in a file; no file is an empty list. A change that cannot be read leaves the list as it was."""

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        """Raises Faulty `home_invalid`: a gateway must not start without the list that it was given."""
        self._path = path
        self._watched = WatchedFile(path, now_s)
        self._list = read_list(path)

    def current(self) -> PeerList:
        if self._watched.changed():
            try:
                self._list = read_list(self._path)
            except Faulty as error:
                _log.error("%s; the list stays as it was", error)
        return self._list


def parse_peer(text: str) -> str | None:
    """The name by which a device or an address is counted; None for text that is neither."""
    if _DEVICE.fullmatch(text):
        return text.lower()
    address = address_of(text)
    return None if address is None else network_of(address)


def read_list(path: Path) -> PeerList:
    """No file is an empty list; raises Faulty `home_invalid`."""
    data = files.read(path, LIST_MAX_BYTES)
    if data is None:
        return PeerList()
    if len(data) > LIST_MAX_BYTES:
        raise Faulty("home_invalid", f"reading {path}: over {LIST_MAX_BYTES} bytes")
    try:
        return parse_list(data.decode(), str(path))
    except UnicodeDecodeError:
        raise Faulty("home_invalid", f"reading {path}: it is not UTF-8 text") from None
