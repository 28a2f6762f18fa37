"""Addresses: the vectors of BIP-350, our prefix, and typing errors."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto import address
from chain.crypto.keys import PrivateKey
from chain.errors import Malformed

VALID = [
    "A1LQFN3A",
    "a1lqfn3a",
    "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
    "?1v759aa",
]
INVALID = [
    "\x201xj0phk",
    "\x7f1g6xzxy",
    "\x801vctc34",
    "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4",
    "qyrz8wqd2c9m",
    "1qyrz8wqd2c9m",
    "y1b0jsk6g",
    "lt1igcx5c0",
    "in1muywd",
    "mm1crxm3i",
    "au1s5cgom",
    "M1VUXWEZ",
    "16plkw9",
    "1p2gdwpf",
]


@pytest.mark.parametrize("text", VALID)
def test_the_valid_strings_of_bip_350_are_read_and_written_back(text: str) -> None:
    prefix, digits = address.bech32m_decode(text)
    assert address.bech32m_encode(prefix, digits) == text.lower()


@pytest.mark.parametrize("text", INVALID)
def test_the_invalid_strings_of_bip_350_are_refused(text: str) -> None:
    with pytest.raises(Malformed):
        address.bech32m_decode(text)


@given(st.binary(min_size=20, max_size=20))
def test_an_address_survives_its_text(account: bytes) -> None:
    text = address.encode(account)
    assert text.startswith("ankr1") and len(text) == 43
    assert address.decode(text) == account == address.decode(text.upper())


@given(st.binary(min_size=20, max_size=20), st.integers(5, 42), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
def test_one_mistyped_character_is_always_noticed(account: bytes, place: int, character: str) -> None:
    text = address.encode(account)
    mistyped = text[:place] + character + text[place + 1 :]
    if mistyped != text:
        with pytest.raises(Malformed):
            address.decode(mistyped)


def test_other_prefixes_lengths_and_cases_are_refused() -> None:
    text = address.encode(bytes(20))
    for wrong in (
        "",
        "ankr1",
        text[:-1],
        text + "q",
        "Ankr" + text[4:],
        address.bech32m_encode("cosmos", [0] * 32),
        address.bech32m_encode("ankr", [0] * 31),
        address.bech32m_encode("ankr", [0] * 33),
        address.bech32m_encode("ankr", [0] * 50),
    ):
        with pytest.raises(Malformed):
            address.decode(wrong)
    with pytest.raises(Malformed):
        address.encode(bytes(19))


def test_names_are_tagged_hashes_of_the_cose_key() -> None:
    public = PrivateKey.from_secret("p256", b"\x01" * 32).public
    assert address.address(public) == sha256(b"dccn/address/v1" + public.encoded()).digest()[:20]
    assert address.device_id(public) == sha256(b"dccn/device/v1" + public.encoded()).digest()
    assert address.validator_address(bytes(32)) == sha256(bytes(32)).digest()[:20]
