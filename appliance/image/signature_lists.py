"""The firmware's lists of trusted certificates, and updates of them that the firmware takes.

Sources: UEFI Specification 2.10, 32.4.1 (EFI_SIGNATURE_LIST) and 8.2.2 (EFI_VARIABLE_AUTHENTICATION_2). Written here
because firmware of 2022 and older takes a bare SignedData only, and sbvarsign wraps it.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

GLOBAL: Final = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
IMAGE_SECURITY: Final = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
OWNERS: Final = {"PK": GLOBAL, "KEK": GLOBAL, "db": IMAGE_SECURITY}
"""The namespace of each variable."""
_CERTIFICATE: Final = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
_PKCS7: Final = uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")
_ATTRIBUTES: Final = 0x27
"""Kept, for boot services and for the running system, written with a signature over the time."""
_CONTENT_INFO_BYTES: Final = 19
"""What stands before the SignedData: SEQUENCE, the object identifier of signed data, and its context tag."""


def signature_list(certificates: Sequence[x509.Certificate], namespace: uuid.UUID) -> bytes:
    """One list for each certificate; the owner of an entry is named after its certificate."""
    lists = b""
    for certificate in certificates:
        der = certificate.public_bytes(Encoding.DER)
        entry = uuid.uuid5(namespace, der.hex()).bytes_le + der
        lists += _CERTIFICATE.bytes_le + struct.pack("<III", 28 + len(entry), 0, len(entry)) + entry
    return lists


def update(name: str, lists: bytes, key: rsa.RSAPrivateKey, certificate: x509.Certificate, now: datetime) -> bytes:
    """The content of `NAME.auth`: the new value of a variable, signed for this name and time."""
    moment = struct.pack("<H5BBIhBB", now.year, now.month, now.day, now.hour, now.minute, now.second, 0, 0, 0, 0, 0)
    signed = name.encode("utf-16-le") + OWNERS[name].bytes_le + struct.pack("<I", _ATTRIBUTES) + moment + lists
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.NoAttributes, pkcs7.PKCS7Options.Binary]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(signed).add_signer(certificate, key, hashes.SHA256())
    signature = builder.sign(Encoding.DER, options)[_CONTENT_INFO_BYTES:]
    head = struct.pack("<IHH", 24 + len(signature), 0x0200, 0x0EF1)
    return moment + head + _PKCS7.bytes_le + signature + lists
