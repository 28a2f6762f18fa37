"""Canonical CBOR: examples of RFC 8949, one encoding per value, and everything that must be refused."""

import struct
import time
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Malformed
from chain.wire import cbor

# RFC 8949 appendix A, as far as our subset goes.
EXAMPLES: list[tuple[Any, str]] = [
    (0, "00"),
    (1, "01"),
    (10, "0a"),
    (23, "17"),
    (24, "1818"),
    (25, "1819"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (18446744073709551616, "c249010000000000000000"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1, "20"),
    (-10, "29"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("a", "6161"),
    ("IETF", "6449455446"),
    ('"\\', "62225c"),
    ("ü", "62c3bc"),
    ("水", "63e6b0b4"),
    ("𐅑", "64f0908591"),
    ([], "80"),
    ([1, 2, 3], "83010203"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({1: 2, 3: 4}, "a201020304"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    (["a", {"b": "c"}], "826161a161626163"),
    ({letter: letter.upper() for letter in "abcde"}, "a56161614161626142616361436164614461656145"),
]


@pytest.mark.parametrize(("value", "encoded"), EXAMPLES)
def test_the_examples_of_rfc_8949(value: object, encoded: str) -> None:
    assert cbor.encode(value).hex() == encoded
    assert cbor.decode(bytes.fromhex(encoded)) == value


REFUSED = {
    "floats": ["f90000", "fa47c35000", "fb3ff199999999999a", "f97c00", "f97e00", "8201f93c00"],
    "other simple values": ["f7", "f0", "f8ff", "e0", "f800"],
    "other tags": [
        "c074323031332d30332d32315432303a30343a30305a",
        "c11a514b67b0",
        "c349010000000000000000",
        "c48221196ab3",
        "d74401020304",
        "d818456449455446",
        "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
        "d9d9f701",
        "d9010281 01",
        "d81c80",
        "d81d00",
        "d9010080",
        "c6 00",
        "d0 00",
        "db ffffffffffffffff 00",
    ],
    "map keys of other or mixed kinds": [
        "a1f601",
        "a1410001",
        "a1810001",
        "a2016161616102",
        "a1181801",
        "a1381801",
        "a1f501",
    ],
    "too deep": ["81" * 17 + "00", "81" * 400 + "00"],
    "cut off or nothing": [
        "",
        "18",
        "82",
        "8201",
        "1b00",
        "62c3",
        "a101",
        "9bffffffffffffffff",
        "5bffffffffffffffff",
        "ff",
    ],
    "text that is not UTF-8": ["61ff", "62c328", "63eda080"],
    "integers out of range": ["c251" + "01" + "00" * 16, "c258" + "40" + "ff" * 64],
}


@pytest.mark.parametrize("encoded", [case for cases in REFUSED.values() for case in cases])
def test_what_is_not_in_the_subset_is_malformed(encoded: str) -> None:
    with pytest.raises(Malformed) as caught:
        cbor.decode(bytes.fromhex(encoded.replace(" ", "")))
    assert caught.value.code == "malformed"


@pytest.mark.parametrize(
    "encoded",
    [
        "1817",  # 23 in two bytes
        "190018",
        "1a00000064",
        "1b00000000000003e8",
        "3800",
        "580101",
        "7801" + "61",
        "980101",
        "b8010102",
        "c24101",  # 1 as a big integer
        "c24a00010000000000000000",  # leading zero
        "c240",
        "a203040102",  # map keys descending
        "a2616201616101",
        "a26262620061610 0".replace(" ", ""),
        "a2200101 02".replace(" ", ""),  # -1 before 1
        "0000",  # something after the value
        "9fff",  # indefinite lengths
        "9f01ff",
        "bf616101ff",
        "5f42010243030405ff",
        "7f657374726561646d696e67ff",
    ],
)
def test_another_encoding_of_a_value_is_non_canonical(encoded: str) -> None:
    with pytest.raises(Malformed) as caught:
        cbor.decode(bytes.fromhex(encoded))
    assert caught.value.code == "non_canonical"


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(Malformed):
        cbor.decode(bytes.fromhex("a201020103"))


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), {1, 2}, {b"k": 1}, {24: 1}, {-25: 1}, {1: 1, "a": 2}, {True: 1}, object()]
)
def test_values_outside_the_subset_are_not_encoded(value: object) -> None:
    with pytest.raises(Malformed):
        cbor.encode(value)


@pytest.mark.parametrize(
    "value", [1 << 128, -(1 << 64) - 1, "\ud800", bytearray(b"x"), cbor2.CBORTag(2, b"\x01"), cbor2.undefined]
)
def test_integers_text_and_types_at_the_border_are_not_encoded(value: object) -> None:
    with pytest.raises(Malformed):
        cbor.encode([value])


def test_sixteen_levels_are_the_most_both_ways() -> None:
    value: Any = 0
    for _ in range(16):
        value = [value]
    assert cbor.decode(cbor.encode(value)) == value
    with pytest.raises(Malformed):
        cbor.encode([value])


def test_the_limit_on_size_is_looked_at_first() -> None:
    with pytest.raises(Malformed) as caught:
        cbor.decode(b"\xff" * 11, limit=10)
    assert caught.value.code == "too_large"


def test_every_tag_but_2_and_18_is_refused() -> None:
    for tag in [*range(24, 1100), 43000, *range(55790, 55810)]:
        head = bytes((0xD8, tag)) if tag < 256 else b"\xd9" + tag.to_bytes(2, "big")
        for content in (b"\x80", b"\x00", b"\x61a", b"\x41a", b"\x82\x01\x02"):
            with pytest.raises(Malformed):
                cbor.decode(head + content)
    for tag in range(24):
        if tag not in (2, 18):
            with pytest.raises(Malformed):
                cbor.decode(bytes((0xC0 | tag,)) + b"\x80")
    assert cbor.decode(b"\xd2\x80").tag == 18


def test_references_cannot_unfold_into_gigabytes() -> None:
    bomb = b"\xd8\x1c\x81\x80"
    for _ in range(14):
        bomb = b"\xd8\x1c\x82" + bomb + b"\xd8\x1d\x00"
    strings = b"\xd9\x01\x00\x99\x40\x00" + b"\x59\x40\x00" + bytes(0x4000) + b"\xd8\x19\x00" * 0x3FFF
    started = time.perf_counter()
    for data in (bomb, strings, b"\xd8\x1c\x81\xd8\x1d\x00"):
        with pytest.raises(Malformed):
            cbor.decode(data)
    assert time.perf_counter() - started < 1


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 64), (1 << 128) - 1),
    st.binary(max_size=30),
    st.text(max_size=10),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.text(max_size=8), inner, max_size=6),
        st.dictionaries(st.integers(-24, 23), inner, max_size=6),
    ),
    max_leaves=20,
).filter(lambda value: depth(value) <= 16)


def depth(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 1 + max(map(depth, value.values()), default=0) if isinstance(value, dict) else 0


def head(major: int, number: int) -> bytes:
    for limit, info, form in ((24, number, ""), (1 << 8, 24, ">B"), (1 << 16, 25, ">H"), (1 << 32, 26, ">I")):
        if number < limit:
            return bytes((major << 5 | info,)) + (struct.pack(form, number) if form else b"")
    return bytes((major << 5 | 27,)) + struct.pack(">Q", number)


def encode_by_the_rfc(value: Any) -> bytes:
    """RFC 8949 section 4.2.1 word for word: shortest heads, keys in bytewise order of their encodings."""
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        if value >= 1 << 64:
            content = value.to_bytes((value.bit_length() + 7) // 8, "big")
            return b"\xc2" + head(2, len(content)) + content
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(encode_by_the_rfc, value))
    pairs = sorted((encode_by_the_rfc(key), encode_by_the_rfc(item)) for key, item in value.items())
    return head(5, len(pairs)) + b"".join(key + item for key, item in pairs)


@given(values)
def test_our_encoding_is_the_one_of_the_rfc_and_decodes_to_the_value(value: object) -> None:
    encoded = cbor.encode(value)
    assert encoded == encode_by_the_rfc(value)
    assert cbor.decode(encoded) == value


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_or_are_exactly_one_values_encoding(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except Malformed:
        return
    assert cbor.encode(value) == data


@given(values, st.data())
def test_a_damaged_encoding_is_refused_or_another_values(value: object, data: st.DataObject) -> None:
    encoded = bytearray(cbor.encode(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = cbor.decode(bytes(encoded))
    except Malformed:
        return
    assert cbor.encode(decoded) == bytes(encoded)
