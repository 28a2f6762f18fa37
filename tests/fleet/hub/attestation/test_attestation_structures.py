"""What a TPM writes, read by the hub: the real thing, every truncation of it, and every flipped bit."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.errors import DccnError, Refused
from fleet.hub.attestation import public_area
from fleet.hub.attestation.public_area import PublicArea
from fleet.hub.attestation.statements import CERTIFY, QUOTE, Statement, open_statement
from fleet.protocol.attestation import QUOTED_PCRS
from tests.fleet.hub.attestation.conftest import NONCE

# By tpm2-tools 5.4 of swtpm 0.7.1.
GOLDEN_QUOTE = bytes.fromhex(
    "ff54434780180022000b096cf2bddd499dc114f6007b0a35706453c7d4f5dc0d9a1928c86cb491286e8e0002aabb"
    "000000000000"
    "2dfa000000020000000001201910230016363600000001000b0390180000"
    "2038723a2e5e8a17aa7950dc008209944e898f69a7bd10a23c839d341e935fd5ca"
)
GOLDEN_CERTIFICATION = bytes.fromhex(
    "ff54434780170022000b096cf2bddd499dc114f6007b0a35706453c7d4f5dc0d9a1928c86cb491286e8e000400ff55aa"
    "0000000000002e2a0000000200000000012019102300163636"
    "0022000b6e3eb9ed8a80861a1ee15ab431ad090b3540428c3bca39d9cd5c620056b17782"
    "0022000b80899ce5b919fd7639bef2faabfa66ea459658e7a86caa74c8e84ba4e38a56a9"
)


def test_a_golden_quote_and_a_golden_certification_are_read() -> None:
    quote = Statement.parse(GOLDEN_QUOTE)
    assert (quote.kind, quote.extra, quote.resets, quote.pcrs) == (QUOTE, b"\xaa\xbb", 2, QUOTED_PCRS)
    assert quote.pcr_digest.hex() == "38723a2e5e8a17aa7950dc008209944e898f69a7bd10a23c839d341e935fd5ca"
    certified = Statement.parse(GOLDEN_CERTIFICATION)
    assert (certified.kind, certified.firmware) == (CERTIFY, 0x2019102300163636)
    assert certified.name.hex() == "000b6e3eb9ed8a80861a1ee15ab431ad090b3540428c3bca39d9cd5c620056b17782"


def test_what_the_tpm_says_is_read_and_verified(spoken) -> None:
    key = public_area.attestation_key(spoken.key.public)
    quote = open_statement(spoken.quote.statement, spoken.quote.signature, key, QUOTE)
    assert (quote.extra, quote.pcrs) == (NONCE, QUOTED_PCRS)
    certified = open_statement(*spoken.certification, key, CERTIFY)
    assert certified.name == PublicArea.parse(spoken.identity.public_area()).name
    assert public_area.identity_key(spoken.identity.public_area()) == spoken.identity.public


def test_a_key_of_one_kind_is_never_taken_for_another(spoken) -> None:
    areas = {
        public_area.endorsement_key: spoken.key.endorsement,
        public_area.attestation_key: spoken.key.public,
        public_area.identity_key: spoken.identity.public_area(),
    }
    for read in areas:
        for owner, area in areas.items():
            if owner is read:
                read(area)
            else:
                with pytest.raises(Refused):
                    read(area)


def test_every_truncation_of_a_structure_is_refused(spoken) -> None:
    structures = [
        (PublicArea.parse, spoken.key.endorsement),
        (PublicArea.parse, spoken.key.public),
        (Statement.parse, spoken.quote.statement),
        (Statement.parse, spoken.certification[0]),
    ]
    for parse, data in structures:
        for piece in (*(data[:end] for end in range(len(data))), data + b"\0"):
            with pytest.raises(Refused):
                parse(piece)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_changed_bit_of_a_statement_or_its_signature_verifies(spoken, data: st.DataObject) -> None:
    key = public_area.attestation_key(spoken.key.public)
    original = [spoken.quote.statement, spoken.quote.signature]
    which = data.draw(st.integers(0, 1))
    bit = data.draw(st.integers(0, len(original[which]) * 8 - 1))
    changed = bytearray(original[which])
    changed[bit // 8] ^= 1 << bit % 8
    original[which] = bytes(changed)
    with pytest.raises(Refused):
        open_statement(*original, key, QUOTE)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for parse in (PublicArea.parse, Statement.parse):
        try:
            parse(data)  # type: ignore[operator]
        except DccnError as error:
            assert isinstance(error, Refused)
