"""Who asks: the device that the client certificate names, else the address that the connection comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from cryptography import x509

from chain.crypto.address import device_of_urn

Address = IPv4Address | IPv6Address

SHARED_PREFIX = 64
"""Whoever has one IPv6 address has a network of them."""


@dataclass(frozen=True, slots=True)
class Peer:
    """`name` is what rates, scores and bans are counted by: a device id in hex, else an address or IPv6 network.

    `certified` says that the TLS handshake verified a client certificate; `device` is None where that names none.
    """

    name: str
    address: Address | None
    certified: bool = False
    device: bytes | None = None

    @property
    def local(self) -> bool:
        """A program of this machine, which anybody may be who is logged in here."""
        return not self.certified and self.address is not None and self.address.is_loopback


def peer_of(scope: Mapping[str, Any]) -> Peer:
    """The peer of an ASGI connection; its certificate is where the ASGI TLS extension puts it."""
    client = scope.get("client")
    address = address_of(client[0]) if client else None
    chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain")
    if not chain:
        return Peer(network_of(address), address)
    device = device_of_certificate(chain[0])
    return Peer(network_of(address) if device is None else device.hex(), address, True, device)


@lru_cache(maxsize=1024)
def device_of_certificate(pem: str) -> bytes | None:
    """The one device id among the certificate's other names; None where there is none, or more than one."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    devices = [device_of_urn(each) for each in names.get_values_for_type(x509.UniformResourceIdentifier)]
    return devices[0] if len(devices) == 1 else None


def address_of(host: str) -> Address | None:
    """An address as text, with or without a zone; one of IPv4 inside IPv6 is one of IPv4."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def network_of(address: Address | None) -> str:
    """What an address is counted by."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, SHARED_PREFIX), strict=False))
    return "unknown" if address is None else str(address)
