"""Names derived from public keys: account addresses (bech32m, `ankr1…`), device ids, validator addresses."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

from chain.crypto.keys import PublicKey
from chain.errors import Malformed

ADDRESS_BYTES = 20
HUMAN_PREFIX = "ankr"

DEVICE_URN_PREFIX = "urn:dccn:device:"

_ADDRESS_TAG = b"dccn/address/v1"
_DEVICE_TAG = b"dccn/device/v1"
_DEVICE_URN = re.compile(DEVICE_URN_PREFIX + "([0-9a-f]{64})", re.ASCII)
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_DIGITS = {character: value for value, character in enumerate(_ALPHABET)}
_BECH32M = 0x2BC830A3
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_DIGITS = 6
_MAX_CHARACTERS = 90


@lru_cache(maxsize=8192)
def address(public: PublicKey) -> bytes:
    """The account's 20 bytes: SHA-256("dccn/address/v1" ‖ COSE_Key)[:20]."""
    return sha256(_ADDRESS_TAG + public.encoded()).digest()[:ADDRESS_BYTES]


def device_id(public: PublicKey) -> bytes:
    """The device's 32 bytes: SHA-256("dccn/device/v1" ‖ COSE_Key); screens and topics show the first 32 hex digits."""
    return sha256(_DEVICE_TAG + public.encoded()).digest()


def device_urn(device: bytes) -> str:
    """The whole device id as the URI that stands in a device's certificate: `urn:dccn:device:` and 64 hex digits."""
    return DEVICE_URN_PREFIX + device.hex()


def device_of_urn(text: str) -> bytes | None:
    """The device that a URI names; None for any other URI."""
    match = _DEVICE_URN.fullmatch(text)
    return None if match is None else bytes.fromhex(match[1])


def validator_address(ed25519_public: bytes) -> bytes:
    """CometBFT's 20 bytes of a consensus key: SHA-256(key)[:20]."""
    return sha256(ed25519_public).digest()[:ADDRESS_BYTES]


def encode(account: bytes) -> str:
    """The account as text, `ankr1…` (bech32m, BIP-350)."""
    if len(account) != ADDRESS_BYTES:
        raise Malformed("malformed", f"an address has {ADDRESS_BYTES} bytes, not {len(account)}")
    return bech32m_encode(HUMAN_PREFIX, _regroup(account, 8, 5, pad=True))


def decode(text: str) -> bytes:
    """The account's 20 bytes; raises `malformed` for a wrong prefix, checksum or length."""
    prefix, digits = bech32m_decode(text)
    if prefix != HUMAN_PREFIX:
        raise Malformed("malformed", f"address {text!r} does not start with {HUMAN_PREFIX}1")
    account = bytes(_regroup(digits, 5, 8, pad=False))
    if len(account) != ADDRESS_BYTES:
        raise Malformed("malformed", f"address {text!r} holds {len(account)} bytes, not {ADDRESS_BYTES}")
    return account


def bech32m_encode(prefix: str, digits: list[int]) -> str:
    """BIP-350 text of 5-bit digits."""
    checksum = _polymod([*_expand(prefix), *digits, *[0] * _CHECKSUM_DIGITS]) ^ _BECH32M
    tail = [(checksum >> 5 * (5 - i)) & 31 for i in range(_CHECKSUM_DIGITS)]
    return prefix + "1" + "".join(_ALPHABET[digit] for digit in [*digits, *tail])


def bech32m_decode(text: str) -> tuple[str, list[int]]:
    """Prefix and 5-bit digits of BIP-350 text; raises `malformed`."""
    lowered = text.lower()
    prefix, separator, body = lowered.rpartition("1")
    if not separator or not prefix or len(body) < _CHECKSUM_DIGITS or len(text) > _MAX_CHARACTERS:
        raise Malformed("malformed", f"{text[:100]!r} is not bech32m text")
    if text not in (lowered, text.upper()) or any(not 33 <= ord(c) <= 126 for c in text):
        raise Malformed("malformed", f"{text!r} mixes cases or holds characters that bech32m has not")
    if any(character not in _DIGITS for character in body):
        raise Malformed("malformed", f"{text!r} holds a character that bech32m has not")
    digits = [_DIGITS[character] for character in body]
    if _polymod([*_expand(prefix), *digits]) != _BECH32M:
        raise Malformed("malformed", f"the checksum of {text!r} is wrong: look for a mistyped character")
    return prefix, digits[:-_CHECKSUM_DIGITS]


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _polymod(digits: list[int]) -> int:
    checksum = 1
    for digit in digits:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ digit
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                checksum ^= generator
    return checksum


def _regroup(values: bytes | list[int], from_bits: int, to_bits: int, *, pad: bool) -> list[int]:
    """The same bits in groups of another width; without `pad`, left-over bits must be fewer than one group and zero."""
    accumulator, bits, groups = 0, 0, []
    for value in values:
        accumulator = accumulator << from_bits | value
        bits += from_bits
        while bits >= to_bits:
            bits -= to_bits
            groups.append(accumulator >> bits & (1 << to_bits) - 1)
    left = accumulator & (1 << bits) - 1
    if pad:
        if bits:
            groups.append(left << (to_bits - bits))
    elif bits >= from_bits or left:
        raise Malformed("malformed", "the bech32m text has bits left over")
    return groups
