"""Canonical CBOR (RFC 8949 section 4.2.1) or rejection: one value has one encoding, and nothing else is read.

Allowed are integers from -2^64 to 2^128 - 1 (tag 2 from 2^64 on), byte and text strings, arrays, maps whose keys are
all text or all integers in -24..23, null, booleans, and tag 18 (COSE_Sign1). Floats, indefinite lengths and every other
tag are refused. cbor2 does the work in native code; a decoded value is encoded again and compared with the input.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NoReturn, cast

import cbor2

from chain.errors import Malformed

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
SIGN1_TAG = 18

_LOWEST, _HIGHEST = -(1 << 64), (1 << 128) - 1
_PLAIN = frozenset({bytes, str, bool, type(None)})
_ARRAYS = frozenset({list, tuple})
_MAPS = frozenset({dict, cbor2.frozendict})


class _Unfit(Exception):
    """A value outside the allowed subset."""


def encode(value: object) -> bytes:
    """The canonical bytes; tuples count as arrays. Raises `malformed` for a value outside the allowed subset."""
    try:
        in_order = _check((value,), MAX_DEPTH)
        return cbor2.dumps(value, canonical=not in_order)
    except (_Unfit, UnicodeError) as error:
        raise Malformed("malformed", f"cannot encode as canonical CBOR: {error}") from None


def decode(data: bytes, limit: int = MAX_BYTES) -> Any:
    """The value of `data`; raises `too_large` above `limit` bytes, `malformed`, or `non_canonical`.

    Arrays become lists and maps dicts; inside a tag 18 they are tuples and read-only maps.
    """
    if len(data) > limit:
        raise Malformed("too_large", f"{len(data)} bytes of CBOR, the limit is {limit}")
    try:
        value = cbor2.loads(
            data,
            tag_hook=_keep_sign1,
            semantic_decoders=_REFUSED_TAGS,
            max_depth=MAX_DEPTH,
            allow_duplicate_keys=False,
        )
        in_order = _check((value,), MAX_DEPTH)
    except (cbor2.CBORDecodeError, _Unfit, UnicodeError, RecursionError, OverflowError, MemoryError) as error:
        raise Malformed("malformed", f"not CBOR of the allowed kind: {error}") from None
    if not in_order or cbor2.dumps(value) != data:
        raise Malformed("non_canonical", f"{len(data)} bytes of CBOR are not the canonical encoding of their value")
    return value


def _check(values: Iterable[object], depth: int) -> bool:
    """Whether the maps in `values` are in canonical order; raises `_Unfit` for what is not in the allowed subset."""
    in_order = True
    for value in values:
        kind = type(value)
        if kind in _PLAIN:
            continue
        if kind is int:
            if not _LOWEST <= value <= _HIGHEST:  # type: ignore[operator]
                raise _Unfit("an integer is outside -2^64 to 2^128 - 1")
        elif not depth:
            raise _Unfit(f"more than {MAX_DEPTH} levels")
        elif kind in _ARRAYS:
            in_order &= _check(value, depth - 1)  # type: ignore[arg-type]
        elif kind in _MAPS:
            keys = tuple(cast("dict[object, object]", value))
            in_order &= _keys_in_order(keys, tuple(map(type, keys)))
            in_order &= _check(cast("dict[object, object]", value).values(), depth - 1)
        elif kind is cbor2.CBORTag and value.tag == SIGN1_TAG:  # type: ignore[attr-defined]
            in_order &= _check((value.value,), depth - 1)  # type: ignore[attr-defined]
        else:
            raise _Unfit(f"a {kind.__name__} has no place here")
    return in_order


@lru_cache(maxsize=1024)
def _keys_in_order(keys: tuple[Any, ...], kinds: tuple[type, ...]) -> bool:
    """Whether map keys ascend by their encodings; raises `_Unfit` unless all are text, or all integers in -24..23.

    Maps of one kind have the same keys, hence the cache; `kinds` keeps apart what Python calls equal (1 and True).
    """
    if all(kind is str for kind in kinds):
        ranks: list[Any] = [(len(encoded), encoded) for encoded in (key.encode() for key in keys)]
    elif all(kind is int for kind in kinds) and all(-24 <= key <= 23 for key in keys):
        ranks = [key if key >= 0 else 31 - key for key in keys]
    else:
        raise _Unfit("map keys are neither all text nor all integers in -24..23")
    return ranks == sorted(ranks)


def _keep_sign1(tag: cbor2.CBORTag, *_: object) -> cbor2.CBORTag:
    if tag.tag != SIGN1_TAG:
        _refuse_tag()
    return tag


def _refuse_tag(*_: object) -> NoReturn:
    raise _Unfit("a tag other than 2 and 18")


# Every tag that cbor2 would interpret itself. Shared values and string references (25, 28, 29, 256) must never be
# resolved: a few bytes of them unfold into gigabytes.
_REFUSED_TAGS = dict.fromkeys(
    (0, 1, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse_tag
)
