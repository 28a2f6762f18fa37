"""One key at rest: a JSON document, its secret sealed by scrypt and AES-256-GCM under a password.

```json
{"dccn_wallet":1,"address":"ankr1…","public_key":"hex","path":"m/44'/1095650130'/0'",
 "kdf":{"name":"scrypt","n":131072,"r":8,"p":1,"salt":"hex of 32 bytes"},
 "cipher":{"name":"aes-256-gcm","nonce":"hex of 12 bytes","ciphertext":"hex"}}
```
The plaintext is CBOR [secret of 32 bytes, entropy of the words / null]. Everything outside of it is authenticated:
CBOR ["dccn/keystore/v1", address, public key, path, n, r, p, salt] goes in as associated data. Without `kdf` and
`cipher` the document is watch-only. A document is a stranger's file until proven otherwise, so its size and the work
that it asks for are bounded.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from chain.crypto import address
from chain.crypto.keys import PrivateKey, PublicKey
from chain.errors import Faulty, Malformed, Refused
from chain.wallet.derivation import parse_path
from chain.wire import cbor

VERSION: Literal[1] = 1
DOCUMENT_MAX_BYTES = 16_384
PASSWORD_MIN_CHARACTERS = 8
PASSWORD_MAX_CHARACTERS = 1_024

N_MIN, N_MAX, R_MAX, P_MAX = 1 << 14, 1 << 20, 16, 4
MEMORY_MAX_BYTES = 256 << 20

_TAG = "dccn/keystore/v1"
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 32, 12, 32
_ENTROPY_BYTES = (16, 20, 24, 28, 32)


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """scrypt needs 128 * n * r bytes of memory (128 MiB by default, a third of a second) and p times that work."""

    n: int = 1 << 17
    r: int = 8
    p: int = 1


@dataclass(frozen=True, slots=True)
class Secret:
    """What a password protects: the key, and the entropy of its words where it came from words."""

    key: PrivateKey
    entropy: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Sealed:
    """scrypt's parameters and AES-GCM's output, tag included."""

    cost: ScryptCost
    salt: bytes
    nonce: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A wallet entry; without `sealed` it only watches, without `public` it knows no more than the address."""

    address: bytes
    public: PublicKey | None = None
    path: str | None = None
    sealed: Sealed | None = None

    @property
    def watch_only(self) -> bool:
        return self.sealed is None

    @property
    def text(self) -> str:
        """The address as people write it."""
        return address.encode(self.address)


def seal(
    secret: Secret,
    password: str,
    *,
    path: str | None = None,
    cost: ScryptCost | None = None,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> Entry:
    """The entry that `password` opens. Raises `usage` for a password that is too short to protect anything."""
    if not PASSWORD_MIN_CHARACTERS <= len(password) <= PASSWORD_MAX_CHARACTERS:
        raise Malformed(
            "usage",
            f"a password has {PASSWORD_MIN_CHARACTERS} to {PASSWORD_MAX_CHARACTERS} characters; take a sentence",
        )
    public, cost = secret.key.public, cost or ScryptCost()
    salt, nonce = entropy(_SALT_BYTES), entropy(_NONCE_BYTES)
    plaintext = cbor.encode([secret.key.secret, secret.entropy])
    account = address.address(public)
    aad = _associated(account, public, path, cost, salt)
    ciphertext = AESGCM(_stretch(password, cost, salt)).encrypt(nonce, plaintext, aad)
    return Entry(account, public, path, Sealed(cost, salt, nonce, ciphertext))


def unseal(entry: Entry, password: str) -> Secret:
    """The secret of an entry. Refused `wallet_watch_only`, or `wallet_password`: wrong, or the file was altered."""
    if entry.sealed is None or entry.public is None:
        raise Refused("wallet_watch_only", f"{entry.text} is watched here, its key is somewhere else")
    sealed = entry.sealed
    aad = _associated(entry.address, entry.public, entry.path, sealed.cost, sealed.salt)
    try:
        key = _stretch(password[:PASSWORD_MAX_CHARACTERS], sealed.cost, sealed.salt)
        plaintext = AESGCM(key).decrypt(sealed.nonce, sealed.ciphertext, aad)
    except InvalidTag:
        raise Refused("wallet_password", f"the password does not open {entry.text} (or the file was altered)") from None
    match cbor.decode(plaintext):
        case [bytes() as secret, (bytes() | None) as entropy] if entropy is None or len(entropy) in _ENTROPY_BYTES:
            private = PrivateKey.from_secret("ed25519", secret)
            if private.public == entry.public:
                return Secret(private, entropy)
    raise Faulty("wallet_damaged", f"what the password opens is not the key of {entry.text}")


def encode_document(entry: Entry) -> bytes:
    """The JSON document, one line per member, as it stands in a file."""
    kdf = cipher = None
    if entry.sealed is not None:
        sealed, cost = entry.sealed, entry.sealed.cost
        kdf = _Kdf("scrypt", cost.n, cost.r, cost.p, sealed.salt.hex())
        cipher = _Cipher("aes-256-gcm", sealed.nonce.hex(), sealed.ciphertext.hex())
    public = None if entry.public is None else entry.public.x.hex()
    document = _Document(VERSION, entry.text, public, entry.path, kdf, cipher)
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_document(data: bytes, source: str = "the wallet file") -> Entry:
    """The entry of a document; Malformed `wallet_damaged` says what is wrong with `source`, before any work is done."""
    if len(data) > DOCUMENT_MAX_BYTES:
        raise Malformed("wallet_damaged", f"{source} has {len(data)} bytes, a wallet file at most {DOCUMENT_MAX_BYTES}")
    try:
        document = msgspec.json.decode(data, type=_Document)
        public = None if document.public_key is None else PublicKey.from_ed25519(bytes.fromhex(document.public_key))
        account = address.decode(document.address)
        if document.path is not None:
            parse_path(document.path)
        sealed = _sealed(document)
    except (ValueError, RecursionError, Malformed) as error:
        reason = error.message if isinstance(error, Malformed) else str(error)
        raise Malformed("wallet_damaged", f"{source}: {reason}") from None
    if public is not None and address.address(public) != account:
        raise Malformed("wallet_damaged", f"{source}: the address is not that of the public key")
    if sealed is not None and public is None:
        raise Malformed("wallet_damaged", f"{source}: a sealed key without its public key")
    return Entry(account, public, document.path, sealed)


class _Kdf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Literal["scrypt"]
    n: int
    r: int
    p: int
    salt: str


class _Cipher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Literal["aes-256-gcm"]
    nonce: str
    ciphertext: str


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    dccn_wallet: Literal[1]
    address: str
    public_key: str | None = None
    path: str | None = None
    kdf: _Kdf | None = None
    cipher: _Cipher | None = None


def _sealed(document: _Document) -> Sealed | None:
    kdf, cipher = document.kdf, document.cipher
    if kdf is None or cipher is None:
        if (kdf is None) != (cipher is None):
            raise Malformed("wallet_damaged", "kdf and cipher stand together or not at all")
        return None
    if not (N_MIN <= kdf.n <= N_MAX and kdf.n & (kdf.n - 1) == 0 and 1 <= kdf.r <= R_MAX and 1 <= kdf.p <= P_MAX):
        raise Malformed(
            "wallet_damaged",
            f"scrypt n {kdf.n}, r {kdf.r}, p {kdf.p}: n is a power of two from {N_MIN} to {N_MAX}, "
            f"r at most {R_MAX}, p at most {P_MAX}",
        )
    if 128 * kdf.n * kdf.r > MEMORY_MAX_BYTES:
        raise Malformed("wallet_damaged", f"scrypt with n {kdf.n}, r {kdf.r} wants over {MEMORY_MAX_BYTES >> 20} MiB")
    salt, nonce, ciphertext = (bytes.fromhex(text) for text in (kdf.salt, cipher.nonce, cipher.ciphertext))
    if len(salt) != _SALT_BYTES or len(nonce) != _NONCE_BYTES:
        raise Malformed("wallet_damaged", f"the salt has {_SALT_BYTES} bytes, the nonce {_NONCE_BYTES}")
    return Sealed(ScryptCost(kdf.n, kdf.r, kdf.p), salt, nonce, ciphertext)


def _stretch(password: str, cost: ScryptCost, salt: bytes) -> bytes:
    """NFKC first: the same letters typed on another keyboard are the same password."""
    normal = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return Scrypt(salt=salt, length=_KEY_BYTES, n=cost.n, r=cost.r, p=cost.p).derive(normal)


def _associated(account: bytes, public: PublicKey, path: str | None, cost: ScryptCost, salt: bytes) -> bytes:
    return cbor.encode([_TAG, account, public.x, path, cost.n, cost.r, cost.p, salt])
