"""A wallet file in wrong hands, damaged, or made to hurt."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from chain.crypto.keys import PrivateKey
from chain.errors import DccnError, Malformed, Refused
from chain.wallet import keystore
from chain.wallet.book import Book
from chain.wallet.keystore import Entry, ScryptCost, Secret, decode_document, encode_document, seal, unseal

CHEAP = ScryptCost(n=keystore.N_MIN)
KEY = PrivateKey.from_secret("ed25519", bytes(range(32)))
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def entry() -> Entry:
    return seal(Secret(KEY, bytes(16)), PASSWORD, path="m/44'/0'", cost=CHEAP)


def altered(entry: Entry, *path: str, value: object) -> bytes:
    document = json.loads(encode_document(entry))
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return json.dumps(document).encode()


def flipped(text: str) -> str:
    return ("1" if text[0] == "0" else "0") + text[1:]


def test_the_password_gives_the_key_and_the_words_back(entry: Entry) -> None:
    found = unseal(decode_document(encode_document(entry)), PASSWORD)
    assert (found.key, found.entropy) == (KEY, bytes(16))
    assert KEY.secret.hex() not in encode_document(entry).decode() and repr(found).count("00") < 3


def test_a_wrong_password_is_one_clear_sentence(entry: Entry) -> None:
    with pytest.raises(Refused) as refused:
        unseal(entry, "incorrect horse battery")
    assert refused.value.code == "wallet_password" and "\n" not in refused.value.message
    assert "the password does not open ankr1" in refused.value.message


def test_the_same_letters_in_another_composition_are_the_same_password() -> None:
    sealed = seal(Secret(KEY), "zwölf Boxkämpfer", cost=CHEAP)
    assert unseal(sealed, "zwo\u0308lf Boxka\u0308mpfer").key == KEY


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("path",), "m/44'/1'"),
        (("path",), None),
        (("kdf", "n"), keystore.N_MIN * 2),
        (("kdf", "r"), 4),
        (("kdf", "p"), 2),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else repr(value),
)
def test_whatever_is_altered_outside_of_the_seal_breaks_it(entry: Entry, path: tuple[str, ...], value: object) -> None:
    with pytest.raises(Refused) as refused:
        unseal(decode_document(altered(entry, *path, value=value)), PASSWORD)
    assert refused.value.code == "wallet_password"


@pytest.mark.parametrize("path", [("kdf", "salt"), ("cipher", "nonce"), ("cipher", "ciphertext")], ids=lambda p: p[1])
def test_a_flipped_digit_breaks_the_seal(entry: Entry, path: tuple[str, str]) -> None:
    document = json.loads(encode_document(entry))
    data = altered(entry, *path, value=flipped(document[path[0]][path[1]]))
    with pytest.raises(Refused) as refused:
        unseal(decode_document(data), PASSWORD)
    assert refused.value.code == "wallet_password"


def test_a_stranger_cannot_put_an_address_in_front_of_the_key(entry: Entry) -> None:
    other = seal(Secret(PrivateKey.from_secret("ed25519", bytes(32))), PASSWORD, cost=CHEAP)
    with pytest.raises(Malformed, match="not that of the public key"):
        decode_document(altered(entry, "address", value=other.text))
    assert other.public is not None
    both = json.loads(altered(entry, "address", value=other.text)) | {"public_key": other.public.x.hex()}
    with pytest.raises(Refused) as refused:
        unseal(decode_document(json.dumps(both).encode()), PASSWORD)
    assert refused.value.code == "wallet_password"


@pytest.mark.parametrize(
    "cost",
    [
        {"n": 1 << 40},
        {"n": 1 << 21},
        {"n": (1 << 20) - 1},
        {"n": 1 << 10},
        {"n": -(1 << 14)},
        {"r": 1 << 20},
        {"r": 0},
        {"p": 1 << 30},
        {"p": 0},
        {"n": 1 << 20, "r": 8},
        {"n": 10**30},
        {"n": 1.5},
        {"n": "16384"},
    ],
    ids=str,
)
def test_a_file_that_asks_for_huge_work_is_refused_at_once(entry: Entry, cost: dict[str, Any]) -> None:
    document = json.loads(encode_document(entry))
    document["kdf"] |= cost
    started = time.perf_counter()
    with pytest.raises(Malformed) as refused:
        decode_document(json.dumps(document).encode())
    assert refused.value.code == "wallet_damaged" and time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 10_000,
        b'{"dccn_wallet":2,"address":"ankr1"}',
        b'{"dccn_wallet":1,"address":"ankr1"}',
        b"\xff\xfe",
        b" " * (keystore.DOCUMENT_MAX_BYTES + 1),
    ],
    ids=range(9),
)
def test_what_is_no_wallet_file_is_refused_with_its_name(data: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        decode_document(data, "some/file.json")
    assert refused.value.code == "wallet_damaged" and refused.value.message.startswith("some/file.json")


def test_half_a_seal_and_unknown_members_are_refused(entry: Entry) -> None:
    for member in ("kdf", "cipher"):
        document = json.loads(encode_document(entry))
        del document[member]
        with pytest.raises(Malformed):
            decode_document(json.dumps(document).encode())
    with pytest.raises(Malformed):
        decode_document(altered(entry, "note", value="hello"))


def test_a_password_must_be_worth_the_name() -> None:
    for password in ("", "1234567", "x" * 2_000):
        with pytest.raises(Malformed, match="8 to 1024"):
            seal(Secret(KEY), password, cost=CHEAP)


def test_two_seals_of_one_key_share_nothing(entry: Entry) -> None:
    again = seal(Secret(KEY, bytes(16)), PASSWORD, path="m/44'/0'", cost=CHEAP)
    assert again.sealed and entry.sealed
    assert again.sealed.salt != entry.sealed.salt and again.sealed.ciphertext != entry.sealed.ciphertext


def test_the_book_keeps_files_for_their_owner_only_and_never_writes_over_one(tmp_path: Path, entry: Entry) -> None:
    book = Book(tmp_path / "keys")
    book.add("savings", entry)
    path = tmp_path / "keys" / "savings.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    before = path.read_bytes()
    with pytest.raises(Refused) as refused:
        book.add("savings", Entry(bytes(20)))
    assert refused.value.code == "wallet_exists" and path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["savings.json"]


def test_the_book_renames_removes_and_resolves(tmp_path: Path, entry: Entry) -> None:
    book = Book(tmp_path / "keys")
    book.add("a", entry)
    book.add("other", Entry(bytes(20)))
    book.rename("a", "b")
    assert book.names() == ["b", "other"] and book.get("b") == entry
    with pytest.raises(Refused):
        book.rename("b", "other")
    assert book.names() == ["b", "other"]
    assert book.resolve("b") == entry.address == book.resolve(entry.text) == book.resolve(entry.text.upper())
    assert book.remove("other").watch_only and book.names() == ["b"]
    with pytest.raises(Refused) as refused:
        book.get("other")
    assert refused.value.code == "wallet_unknown"


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "a/b", "-x", "x" * 41, "ankr1abc", "ä", ".json"])
def test_a_name_cannot_leave_the_folder_or_pose_as_an_address(tmp_path: Path, entry: Entry, name: str) -> None:
    with pytest.raises(DccnError) as refused:
        Book(tmp_path).add(name, entry)
    assert refused.value.code == "usage" and list(tmp_path.iterdir()) == []


def test_who_only_watches_cannot_sign() -> None:
    with pytest.raises(Refused) as refused:
        unseal(Entry(bytes(20)), PASSWORD)
    assert refused.value.code == "wallet_watch_only"
