"""docs/wallets.md documents the bytes that are really signed."""

from __future__ import annotations

import re
from pathlib import Path

from chain.crypto import address
from chain.wallet.derivation import account_path, key_of
from chain.wire import cbor
from chain.wire.transactions import ANKR, sign, transfer

PAGE = (Path(__file__).parents[3] / "docs" / "wallets.md").read_text(encoding="utf-8")
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


def test_the_example_of_the_page_is_true_byte_by_byte() -> None:
    table = PAGE[PAGE.index("| bytes | meaning |") : PAGE.index("Signature:")]
    documented = bytes.fromhex("".join(re.findall(r"^\| `([0-9a-f ]+)` \|", table, re.MULTILINE)))
    key = key_of(WORDS, account_path(0))
    content = transfer(bytes(range(20)), 25 * ANKR // 2)
    signed = sign(key, "dccn-1", content, nonce=7, fee=5 * ANKR, valid_until_height=4711)
    assert signed.sign_bytes("dccn-1") == documented
    assert f"Signature: `{signed.signature.hex()}`" in PAGE and f"`{signed.hash.hex()}`" in PAGE
    assert (
        f"`{address.encode(bytes(range(20)))}`" in PAGE and f"`{address.encode(address.address(key.public))}`" in PAGE
    )
    assert " ".join(WORDS.split()) in " ".join(PAGE.split())


def test_the_long_form_of_an_amount_is_as_documented() -> None:
    assert bytes.fromhex("c24901158e460913d00000") == cbor.encode(20 * ANKR)
    assert "`c2 49 01158e460913d00000`" in PAGE and f"`{account_path(0)[:-2]}i'`" in PAGE
