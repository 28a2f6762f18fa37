"""Codes, nonces, tries and the admin secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Faulty, Malformed, Refused
from fleet.hub.identity.admin import AdminSecret
from fleet.hub.identity.attempts import Attempts
from fleet.hub.identity.codes import ALPHABET, code_text, parse_code
from fleet.hub.identity.keyfiles import open_keys
from fleet.hub.identity.nonces import Nonces


def entropy(size):
    return bytes(range(size))


@given(st.binary(min_size=5, max_size=5))
def test_a_code_says_all_40_bits_and_is_read_however_it_was_typed(data):
    code = code_text(data)
    digits = code.replace("-", "")
    assert sum(ALPHABET.index(digit) << 5 * (7 - place) for place, digit in enumerate(digits)) == int.from_bytes(data)
    assert parse_code(code.lower().replace("-", " ").replace("0", "o").replace("1", "l")) == code


@pytest.mark.parametrize("text", ["", "ABC", "ABCD-EFG", "ABCD-EFGHJ", "ABCD-EFGU", "ÄBCD-EFGH"])
def test_what_is_no_code_is_told_so(text):
    with pytest.raises(Malformed) as error:
        parse_code(text)
    assert error.value.code == "claim_invalid"


def test_a_nonce_works_once_and_for_five_minutes(clock):
    nonces = Nonces(clock, entropy)
    nonce = nonces.issue()
    clock.advance(seconds=299)
    nonces.use(nonce)
    with pytest.raises(Refused):
        nonces.use(nonce)
    late = nonces.issue()
    clock.advance(seconds=302)
    with pytest.raises(Refused):
        nonces.use(late)


@given(st.binary(min_size=16, max_size=16))
def test_no_nonce_can_be_made_up(data):
    nonces = Nonces(lambda: 1_790_000_000_000, lambda size: b"\7" * size)
    with pytest.raises(Refused):
        nonces.use(data)


def test_used_nonces_are_forgotten_only_when_they_have_expired(clock):
    nonces = Nonces(clock, entropy)
    old = nonces.issue()
    nonces.use(old)
    clock.advance(seconds=301)
    nonces.use(nonces.issue())
    assert len(nonces._used) == 1 or old not in nonces._used
    with pytest.raises(Refused):
        nonces.use(old)


def test_the_sixth_try_in_a_minute_is_refused_and_another_address_is_not(clock):
    attempts = Attempts(5, clock)
    for _ in range(5):
        attempts.note("10.0.0.1")
    with pytest.raises(Refused) as error:
        attempts.note("10.0.0.1")
    assert error.value.code == "rate_limited"
    attempts.note("10.0.0.2")
    clock.advance(seconds=61)
    attempts.note("10.0.0.1")


def test_tries_are_bounded_in_memory(clock, monkeypatch):
    monkeypatch.setattr("fleet.hub.identity.attempts.MAX_KEYS", 3)
    attempts = Attempts(1, clock)
    for number in range(10):
        attempts.note(str(number))
    assert len(attempts._tries) == 3


def test_the_admin_secret_is_shown_once_and_stored_hashed(tmp_path):
    admin, text = AdminSecret.open(tmp_path, entropy)
    again, nothing = AdminSecret.open(tmp_path, entropy)
    assert text is not None and nothing is None
    stored = (tmp_path / "identity" / "admin-secret.sha256").read_text()
    assert text not in stored and text.replace("-", "") not in stored
    admin.check(f"Bearer {text}")
    again.check(f"bearer {text.upper()}")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic {}", "{}"])
def test_anything_else_is_not_the_admin(tmp_path, header):
    admin, text = AdminSecret.open(tmp_path, entropy)
    with pytest.raises(Refused) as error:
        admin.check(header and header.format(text))
    assert error.value.code == "not_admin"


def test_keys_are_made_once_and_kept_private(tmp_path):
    keys = open_keys(tmp_path)
    assert open_keys(tmp_path) == keys
    assert len({keys.fleet_root.secret, keys.command.secret, keys.account.secret}) == 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "identity").glob("*.key"))


def test_a_damaged_key_is_told_in_one_sentence(tmp_path):
    open_keys(tmp_path)
    (tmp_path / "identity" / "command.key").write_text("zz")
    with pytest.raises(Faulty) as error:
        open_keys(tmp_path)
    assert error.value.code == "home_invalid"
