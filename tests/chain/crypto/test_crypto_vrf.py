"""The VRF against RFC 9381 appendix B.3, examples 16 to 18, and what a verifier must refuse."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.crypto import edwards, vrf
from chain.errors import Malformed

EXAMPLES = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d97"
        "27d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805",
        "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff"
        "66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465"
        "301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02",
        "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb"
        "5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9ea3c0"
        "e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e",
        "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c45"
        "2118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f",
    ),
]


@pytest.mark.parametrize(("secret", "public", "alpha", "pi", "beta"), EXAMPLES)
def test_the_examples_of_rfc_9381(secret: str, public: str, alpha: str, pi: str, beta: str) -> None:
    assert vrf.public_key(bytes.fromhex(secret)).hex() == public
    assert vrf.prove(bytes.fromhex(secret), bytes.fromhex(alpha)).hex() == pi
    output = vrf.verify(bytes.fromhex(public), bytes.fromhex(alpha), bytes.fromhex(pi))
    assert output is not None and output.hex() == beta
    assert vrf.proof_to_hash(bytes.fromhex(pi)).hex() == beta


SECRET = b"\x05" * 32
PUBLIC = vrf.public_key(SECRET)


@settings(max_examples=25)
@given(st.binary(max_size=64))
def test_every_proof_verifies_and_gives_its_hash(alpha: bytes) -> None:
    pi = vrf.prove(SECRET, alpha)
    assert vrf.verify(PUBLIC, alpha, pi) == vrf.proof_to_hash(pi)


@settings(max_examples=25)
@given(st.integers(0, 80 * 8 - 1))
def test_a_proof_with_one_bit_turned_is_refused(bit: int) -> None:
    pi = bytearray(vrf.prove(SECRET, b"alpha"))
    pi[bit // 8] ^= 1 << bit % 8
    assert vrf.verify(PUBLIC, b"alpha", bytes(pi)) is None


def test_a_proof_belongs_to_one_key_and_one_input() -> None:
    pi = vrf.prove(SECRET, b"alpha")
    assert vrf.verify(PUBLIC, b"beta", pi) is None
    assert vrf.verify(vrf.public_key(b"\x06" * 32), b"alpha", pi) is None


def test_what_is_no_key_or_no_proof_is_refused() -> None:
    pi = vrf.prove(SECRET, b"alpha")
    small_order = edwards.compress(edwards.IDENTITY)
    assert not vrf.is_valid_public_key(small_order) and vrf.verify(small_order, b"alpha", pi) is None
    assert not vrf.is_valid_public_key(b"\xff" * 32) and vrf.is_valid_public_key(PUBLIC)
    s = int.from_bytes(pi[48:], "little") + edwards.ORDER
    for wrong in (b"", pi[:-1], pi + b"\0", bytes(80), pi[:48] + s.to_bytes(32, "little"), b"\xff" * 80):
        assert vrf.verify(PUBLIC, b"alpha", wrong) is None
    with pytest.raises(Malformed):
        vrf.proof_to_hash(b"\xff" * 80)
