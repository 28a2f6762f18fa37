"""How large, how many, how long: the bounds that both sides of the fleet protocol keep."""

from __future__ import annotations

from typing import Final

CERTIFICATE_LIFETIME_S: Final = 24 * 3600
"""A client certificate lives a day and is renewed at half life."""
CERTIFICATE_BACKDATE_S: Final = 300
"""`not before` lies this far back, for a device whose clock is a little slow."""
NONCE_LIFETIME_S: Final = 300
MAX_NONCES: Final = 10_000
CLAIM_LIFETIME_S: Final = 15 * 60
CLAIM_TRIES_PER_MINUTE: Final = 5
"""Codes typed, per address; whoever knows none cannot guess one of 2^40."""
CLAIM_BEGINS_PER_MINUTE: Final = 60
"""Codes asked for, per address: a rack of machines behind one router boots at once."""
MAX_OPEN_CLAIMS: Final = 1_000
TOKEN_LIFETIME_S: Final = 24 * 3600
MAX_ENROLMENT_BYTES: Final = 16_384
MAX_REGISTRATION_BYTES: Final = 8_192
MAX_ADMIN_BYTES: Final = 16_384
KEEP_ALIVE_S: Final = 30
SESSION_EXPIRY_S: Final = 24 * 3600
RECEIVE_MAXIMUM: Final = 20
WILL_DELAY_S: Final = 30
"""A short cut of the line does not make a device flap between online and offline."""
SPONSORED_PER_OWNER: Final = 20
"""How many registrations a hub pays for one owner."""
COMMAND_KEY_LIFETIME_S: Final = 366 * 24 * 3600
