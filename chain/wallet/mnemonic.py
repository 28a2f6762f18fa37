"""BIP-39: a key as 12 to 24 English words that fit on a sheet of paper.

The word list and the arithmetic are those of `mnemonic`, the reference implementation; here are the errors that a
person can act on. Words are secret: no message of ours repeats one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import lru_cache

from mnemonic import Mnemonic

from chain.errors import Malformed

WORD_COUNTS = (12, 15, 18, 21, 24)
SEED_BYTES = 64
PHRASE_MAX_CHARACTERS = 500


def generate(words: int = 24, entropy: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A new phrase of 12, 15, 18, 21 or 24 words; 24 words carry 256 bits."""
    if words not in WORD_COUNTS:
        raise Malformed("usage", f"a phrase has 12, 15, 18, 21 or 24 words, not {words}")
    return from_entropy(entropy(words * 4 // 3))


def from_entropy(entropy: bytes) -> str:
    """The phrase of 16, 20, 24, 28 or 32 bytes."""
    if len(entropy) * 3 // 4 not in WORD_COUNTS or len(entropy) % 4:
        raise Malformed("words_invalid", f"{len(entropy)} bytes of entropy; a phrase carries 16 to 32 in steps of 4")
    return _english().to_mnemonic(entropy)


def to_entropy(phrase: str) -> bytes:
    """The bytes behind a phrase; raises `words_invalid` for its length, an unknown word (by position), the checksum."""
    if len(phrase) > PHRASE_MAX_CHARACTERS:
        raise Malformed("words_invalid", f"{len(phrase)} characters are more than 24 words")
    words = normalise(phrase).split(" ")
    if len(words) not in WORD_COUNTS:
        raise Malformed("words_invalid", f"{len(words)} words; a phrase has 12, 15, 18, 21 or 24")
    known = frozenset(_english().wordlist)
    unknown = [str(position) for position, word in enumerate(words, 1) if word not in known]
    if unknown:
        which = "word " + unknown[0] if len(unknown) == 1 else "words " + ", ".join(unknown)
        raise Malformed("words_invalid", f"{which} of the phrase: not in the BIP-39 English list")
    try:
        return bytes(_english().to_entropy(words))
    except ValueError:
        raise Malformed(
            "words_invalid", "the checksum of the phrase is wrong: a word is another one, or out of order"
        ) from None


def seed(phrase: str, passphrase: str = "") -> bytes:
    """64 bytes by PBKDF2-HMAC-SHA512, 2048 rounds, of a phrase whose checksum holds."""
    to_entropy(phrase)
    return Mnemonic.to_seed(normalise(phrase), passphrase)


def normalise(phrase: str) -> str:
    """Lower case, single spaces: how people write is not what they mean."""
    return " ".join(phrase.lower().split())


@lru_cache(maxsize=1)
def _english() -> Mnemonic:
    return Mnemonic("english")
