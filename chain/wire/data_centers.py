"""Data centers on the chain: body and entry of their registration.

The certificate is the one under which the data center's node meets its peers and its cluster meets the hub; the chain
holds its SHA-256, so that everybody can check a presented one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chain.wire.fields import Fields
from chain.wire.kinds import DATA_CENTER_REGISTER, DATA_CENTER_REVOKE, Content
from chain.wire.state import Entry

MAX_NAME_BYTES = 64

_HASH_BYTES = 32


class DataCenterRegister(NamedTuple):
    """`[name, region, SHA-256 of the certificate]`; a second one replaces the first."""

    name: str
    region: str
    certificate: bytes


class DataCenter(Entry, frozen=True):
    """`datacenter/` address(20)."""

    name: str
    region: str
    certificate: bytes
    registered_height: int


def data_center_key(address: bytes) -> bytes:
    return b"datacenter/" + address


def data_center_register(name: str, region: str, certificate: bytes) -> Content:
    """`certificate` is the SHA-256 of the DER bytes."""
    return DATA_CENTER_REGISTER, [name, region, certificate]


def data_center_revoke() -> Content:
    return DATA_CENTER_REVOKE, []


def read_data_center_register(body: list[Any]) -> DataCenterRegister:
    fields = Fields(body, None, 3)
    name, region = fields.text(0, MAX_NAME_BYTES), fields.text(1, MAX_NAME_BYTES)
    return DataCenterRegister(name, region, fields.octets(2, _HASH_BYTES))


def read_data_center_revoke(body: list[Any]) -> None:
    Fields(body, None, 0)
