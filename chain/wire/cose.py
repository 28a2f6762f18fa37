"""COSE_Sign1 (RFC 9052) over canonical CBOR: how proofs, receipts and commands travel.

Every envelope is `18([{1: alg, 4: kid}, {}, payload, signature])`, signed with external_aad = CBOR [tag, chain_id], so
a signature made for one purpose or chain is worth nothing for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from chain.crypto.keys import Algorithm, PublicKey, SigningKey
from chain.errors import Malformed
from chain.wire import cbor

MAX_BYTES = 1 << 18
MAX_KID_BYTES = 32
KID_BYTES = 16

_ALG, _KID = 1, 4
_ALGORITHM_IDS: dict[Algorithm, int] = {"ed25519": -8, "p256": -7}
_ALGORITHMS: dict[int, Algorithm] = {number: name for name, number in _ALGORITHM_IDS.items()}
_TAG_18 = b"\xd2"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed COSE_Sign1 whose signature nobody has checked yet; `body` is the decoded payload, `raw` all bytes."""

    kid: bytes
    algorithm: Algorithm
    protected: bytes
    payload: bytes
    body: Any
    signature: bytes
    raw: bytes

    def verify(self, public: PublicKey, tag: str, chain_id: str) -> bool:
        """Whether `public` signed this payload for this purpose and chain."""
        if public.algorithm != self.algorithm:
            return False
        return public.verify(to_be_signed(self.protected, self.payload, tag, chain_id), self.signature)


def sign(key: SigningKey, kid: bytes, payload: object, tag: str, chain_id: str) -> bytes:
    """The envelope's bytes; a payload that is not bytes already is encoded canonically."""
    content = payload if isinstance(payload, bytes) else cbor.encode(payload)
    protected = cbor.encode({_ALG: _ALGORITHM_IDS[key.algorithm], _KID: kid})
    signature = key.sign(to_be_signed(protected, content, tag, chain_id))
    return _TAG_18 + cbor.encode([protected, {}, content, signature])


def open_envelope(data: bytes, limit: int = MAX_BYTES) -> Envelope:
    """Parse an envelope and its payload strictly; raises `too_large`, `malformed` or `non_canonical`."""
    if data[:1] != _TAG_18:
        raise Malformed("malformed", "not a COSE_Sign1: tag 18 is missing")
    parts = cbor.decode(data[1:], limit - 1)
    match parts:
        case [bytes() as protected, {**unprotected}, bytes() as payload, bytes() as signature] if not unprotected:
            pass
        case _:
            raise Malformed("malformed", "a COSE_Sign1 is [protected, {}, payload, signature]")
    if len(signature) != 64:
        raise Malformed("malformed", f"a signature has 64 bytes, not {len(signature)}")
    algorithm, kid = _protected(protected)
    return Envelope(kid, algorithm, protected, payload, cbor.decode(payload, limit), signature, data)


def to_be_signed(protected: bytes, payload: bytes, tag: str, chain_id: str) -> bytes:
    """The Sig_structure of RFC 9052 section 4.4: ["Signature1", protected, external_aad, payload]."""
    return cbor.encode(["Signature1", protected, external_aad(tag, chain_id), payload])


@lru_cache(maxsize=64)
def external_aad(tag: str, chain_id: str) -> bytes:
    return cbor.encode([tag, chain_id])


@lru_cache(maxsize=1024)
def _protected(protected: bytes) -> tuple[Algorithm, bytes]:
    header = cbor.decode(protected, 64)
    if not isinstance(header, dict) or header.keys() != {_ALG, _KID}:
        raise Malformed("malformed", "the protected header is not {1: algorithm, 4: key id}")
    number, kid = header[_ALG], header[_KID]
    if type(number) is not int or number not in _ALGORITHMS:
        raise Malformed("malformed", f"algorithm {number!r} is neither EdDSA (-8) nor ES256 (-7)")
    if type(kid) is not bytes or not 0 < len(kid) <= MAX_KID_BYTES:
        raise Malformed("malformed", f"the key id is not 1 to {MAX_KID_BYTES} bytes")
    return _ALGORITHMS[number], kid
