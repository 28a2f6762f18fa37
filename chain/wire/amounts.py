"""ANKR and its smallest unit: amounts are integers in 10^-18 ANKR ("atto") everywhere, decimals only on screens."""

from __future__ import annotations

from chain.errors import Malformed

DECIMALS = 18
_WHOLE_DIGITS_MAX = 60
ANKR: int = 10**DECIMALS
MAX_AMOUNT = (1 << 128) - 1


def format_ankr(amount: int) -> str:
    """The amount as a decimal number of ANKR without trailing zeros: 1.25 * ANKR is "1.25"."""
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    whole, fraction = divmod(amount, ANKR)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:0{DECIMALS}d}".rstrip("0")


def parse_ankr(text: str) -> int:
    """The amount that a decimal number of ANKR names; raises `malformed` for signs, exponents and lost digits."""
    whole, _, fraction = text.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (fraction and not (fraction.isascii() and fraction.isdigit())):
        raise Malformed("malformed", f"{text!r} is not a decimal amount of ANKR")
    if len(whole) > _WHOLE_DIGITS_MAX:
        raise Malformed("malformed", f"an amount of {len(whole)} digits is more than any on this chain can be")
    if len(fraction) > DECIMALS or text.endswith("."):
        raise Malformed("malformed", f"{text!r}: ANKR has {DECIMALS} decimals")
    amount = int(whole) * ANKR + int(fraction.ljust(DECIMALS, "0"))
    if amount > MAX_AMOUNT:
        raise Malformed("malformed", f"{text!r} is more than any amount on this chain can be")
    return amount
