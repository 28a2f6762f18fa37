"""Keys: RFC 8032 vectors, low s of P-256, one encoding for one key."""

import pytest

from chain.crypto import p256
from chain.crypto.keys import PrivateKey, PublicKey
from chain.errors import Malformed
from chain.wire import cbor

# RFC 8032 section 7.1, tests 1 to 3: secret, public, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_ed25519_reproduces_rfc_8032(secret: str, public: str, message: str, signature: str) -> None:
    key = PrivateKey.from_secret("ed25519", bytes.fromhex(secret))
    assert key.public.x.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert key.public.verify(bytes.fromhex(message), bytes.fromhex(signature))
    assert not key.public.verify(bytes.fromhex(message) + b"!", bytes.fromhex(signature))


def test_p256_signs_deterministically_with_low_s_and_refuses_the_high_one() -> None:
    # RFC 6979 A.2.5: the key and the nonce's r for "sample" with SHA-256; s there is the high one.
    key = PrivateKey.from_secret(
        "p256", bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
    )
    assert key.public.x.hex().upper() == "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
    assert key.public.y.hex().upper() == "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
    published_r = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    published_s = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    signature = key.sign(b"sample")
    assert signature[:32].hex().upper() == published_r
    assert int.from_bytes(signature[32:], "big") == p256.ORDER - published_s
    assert key.public.verify(b"sample", signature)
    assert not key.public.verify(b"sample", signature[:32] + published_s.to_bytes(32, "big"))


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_a_key_survives_its_cose_form_and_has_one_encoding(algorithm: str) -> None:
    public = PrivateKey.generate(algorithm).public  # type: ignore[arg-type]
    assert PublicKey.from_cose(cbor.decode(public.encoded())) == public
    assert cbor.encode(public.cose()) == public.encoded()


@pytest.mark.parametrize(
    "cose",
    [
        None,
        {},
        {1: 1, -1: 6, -2: b"short"},
        {1: 1, -1: 6, -2: bytes(32), 3: -8},
        {1: True, -1: 6, -2: bytes(32)},
        {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)},
        {1: 2, -1: 1, -2: bytes(32)},
        {1: 2, -1: 6, -2: bytes(32)},
        {1: 1, -1: 6, -2: "x" * 32},
    ],
)
def test_what_is_no_key_is_refused_as_bad_key(cose: object) -> None:
    with pytest.raises(Malformed) as caught:
        PublicKey.from_cose(cose)
    assert caught.value.code == "bad_key"


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65), b"\xff" * 64])
@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_garbage_is_no_signature(algorithm: str, signature: bytes) -> None:
    assert not PrivateKey.generate(algorithm).public.verify(b"message", signature)  # type: ignore[arg-type]


def test_a_secret_is_not_shown() -> None:
    key = PrivateKey.from_secret("ed25519", b"\x07" * 32)
    assert "0707" not in repr(key) and "\\x07\\x07" not in repr(key)
