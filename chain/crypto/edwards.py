"""The group of edwards25519 (RFC 8032 section 5.1) in plain integers: exact, variable-time, for public values only.

Points are extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z. Secrets never come here: whoever
multiplies by a secret scalar uses libsodium.
"""

from __future__ import annotations

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, PRIME) % PRIME
_2D = 2 * D % PRIME
_SQRT_MINUS_1 = pow(2, (PRIME - 1) // 4, PRIME)
_WINDOW_BITS = 4

Point = tuple[int, int, int, int]
IDENTITY: Point = (0, 1, 1, 0)


def decompress(encoded: bytes, *, strict: bool) -> Point | None:
    """The point of a 32-byte encoding, or None if there is none.

    `strict` follows RFC 8032 section 5.1.3 (y below p, no negative zero); otherwise ZIP-215, which takes both.
    """
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if strict and y >= PRIME:
        return None
    y %= PRIME
    x = _square_root_of_ratio((y * y - 1) % PRIME, (D * y * y + 1) % PRIME)
    if x is None or (strict and x == 0 and sign):
        return None
    if x & 1 != sign:
        x = -x % PRIME
    return (x, y, 1, x * y % PRIME)


def compress(point: Point) -> bytes:
    """The canonical 32-byte encoding."""
    x, y, z, _ = point
    inverse = pow(z, -1, PRIME)
    x, y = x * inverse % PRIME, y * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")


def add(p: Point, q: Point) -> Point:
    x1, y1, z1, t1 = p
    x2, y2, z2, t2 = q
    a = (y1 - x1) * (y2 - x2) % PRIME
    b = (y1 + x1) * (y2 + x2) % PRIME
    c = t1 * _2D * t2 % PRIME
    d = 2 * z1 * z2
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME)


def double(p: Point) -> Point:
    x, y, z, _ = p
    a, b = x * x, y * y
    h = a + b
    e = h - (x + y) * (x + y)
    g = a - b
    f = 2 * z * z + g
    return (e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME)


def negate(p: Point) -> Point:
    return (-p[0] % PRIME, p[1], p[2], -p[3] % PRIME)


def is_identity(p: Point) -> bool:
    return p[0] == 0 and (p[1] - p[2]) % PRIME == 0


def multiply_by_cofactor(p: Point) -> Point:
    """8 times the point."""
    return double(double(double(p)))


def double_multiply(a: int, p: Point, b: int, q: Point) -> Point:
    """a*P + b*Q for public scalars (Straus: one run of doublings for both, four bits at a time)."""
    table_p, table_q = _multiples(p), _multiples(q)
    bits = max(a.bit_length(), b.bit_length())
    result = IDENTITY
    for shift in range((bits + _WINDOW_BITS - 1) // _WINDOW_BITS * _WINDOW_BITS - _WINDOW_BITS, -1, -_WINDOW_BITS):
        result = double(double(double(double(result))))
        if digit := (a >> shift) & 15:
            result = add(result, table_p[digit])
        if digit := (b >> shift) & 15:
            result = add(result, table_q[digit])
    return result


def _multiples(p: Point) -> list[Point]:
    """0*P to 15*P."""
    table = [IDENTITY, p]
    for _ in range(2, 1 << _WINDOW_BITS):
        table.append(add(table[-1], p))
    return table


def _square_root_of_ratio(u: int, v: int) -> int | None:
    """A square root of u/v modulo p, or None (RFC 8032 section 5.1.3, step 3)."""
    root = u * pow(v, 3, PRIME) * pow(u * pow(v, 7, PRIME), (PRIME - 5) // 8, PRIME) % PRIME
    check = v * root * root % PRIME
    if check == u:
        return root
    if check == -u % PRIME:
        return root * _SQRT_MINUS_1 % PRIME
    return None


def _base() -> Point:
    point = decompress((4 * pow(5, -1, PRIME) % PRIME).to_bytes(32, "little"), strict=True)
    assert point is not None
    return point


BASE: Point = _base()
