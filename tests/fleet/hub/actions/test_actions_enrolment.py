"""How a device becomes a member, and how it does not."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select, update

from chain.crypto import address
from chain.crypto.keys import PrivateKey
from chain.errors import Malformed, Refused
from fleet.hub.actions.enrolment import do_approve_claim, do_begin_claim, do_create_token, do_enrol, do_renew
from fleet.hub.actions.events import kind_of
from fleet.hub.store.tables import certificates, claims, devices, enrolment_tokens, record_chains
from fleet.protocol.enrolment import EnrolRequest

CSR = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name([]))
    .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    .public_bytes(Encoding.DER)
)
ALICE = PrivateKey.from_secret("p256", b"\1" * 32).public
BOB = PrivateKey.from_secret("ed25519", b"\2" * 32).public


def request(public=ALICE, *, secret=None, ticket=None, chain=b"c" * 16, csr=CSR):
    return EnrolRequest(public, secret, ticket, chain, csr, b"n" * 16)


@pytest.fixture
def secret(desk, identity):
    return do_create_token(desk, identity)[0].secret


def refusal(desk, identity, wanted):
    with pytest.raises(Refused) as error:
        do_enrol(desk, identity, wanted)
    return error.value.code


def test_a_token_lets_one_device_in(desk, identity, secret, published):
    member = do_enrol(desk, identity, request(secret=secret))
    assert member.device == address.device_id(ALICE)
    assert member.start.chain == b"c" * 16 and member.start.last_seq is None
    with desk.store.read() as connection:
        row = connection.execute(select(devices)).one()
        assert (row.topic_id, row.enrolled_by) == (member.device.hex()[:32], "token")
        assert connection.execute(select(record_chains.c.next_seq)).scalars().all() == [0]
    assert [kind_of(event) for event in published] == ["certificate-issued", "device-enrolled"]


def test_the_database_never_holds_a_secret(desk, identity, secret):
    claim = do_begin_claim(desk, identity, BOB)
    dump = b"".join(desk.store.connect().serialize().split())
    assert secret not in dump and claim.ticket not in dump and claim.code.encode() not in dump


def test_a_token_works_for_one_device_only_but_again_for_the_same(desk, identity, secret):
    first = do_enrol(desk, identity, request(secret=secret))
    again = do_enrol(desk, identity, request(secret=secret))
    assert first.device == again.device, "the answer can get lost"
    assert refusal(desk, identity, request(BOB, secret=secret)) == "token_invalid"


def test_an_expired_or_made_up_token_is_refused(desk, identity, secret, clock):
    assert refusal(desk, identity, request(secret=b"x" * 16)) == "token_invalid"
    clock.advance(seconds=24 * 3600 + 1)
    assert refusal(desk, identity, request(secret=secret)) == "token_invalid"


def test_a_refused_enrolment_leaves_no_trace(desk, identity, secret):
    with pytest.raises(Malformed):
        do_enrol(desk, identity, request(secret=secret, csr=b"junk"))
    assert refusal(desk, identity, request(secret=b"x" * 16)) == "token_invalid"
    with desk.store.read() as connection:
        assert connection.execute(select(devices)).all() == connection.execute(select(certificates)).all() == []
        assert connection.execute(select(enrolment_tokens.c.used_by)).scalar_one() is None


def test_a_claimed_device_waits_for_its_code_to_be_typed(desk, identity):
    claim = do_begin_claim(desk, identity, ALICE)
    assert refusal(desk, identity, request(ticket=claim.ticket)) == "claim_pending"
    assert do_approve_claim(desk, claim.code.lower()) == address.device_id(ALICE)
    assert do_enrol(desk, identity, request(ticket=claim.ticket)).device == address.device_id(ALICE)


def test_a_ticket_belongs_to_its_device(desk, identity):
    claim = do_begin_claim(desk, identity, ALICE)
    do_approve_claim(desk, claim.code)
    assert refusal(desk, identity, request(BOB, ticket=claim.ticket)) == "claim_invalid"


def test_a_code_works_once_and_for_a_quarter_of_an_hour(desk, identity, clock):
    claim = do_begin_claim(desk, identity, ALICE)
    do_approve_claim(desk, claim.code)
    with pytest.raises(Refused):
        do_approve_claim(desk, claim.code)
    late = do_begin_claim(desk, identity, BOB)
    clock.advance(seconds=15 * 60 + 1)
    with pytest.raises(Refused):
        do_approve_claim(desk, late.code)
    assert refusal(desk, identity, request(BOB, ticket=late.ticket)) == "claim_invalid"


def test_a_device_that_asks_again_voids_its_older_code(desk, identity):
    older, newer = do_begin_claim(desk, identity, ALICE), do_begin_claim(desk, identity, ALICE)
    with pytest.raises(Refused):
        do_approve_claim(desk, older.code)
    do_approve_claim(desk, newer.code)
    with desk.store.read() as connection:
        assert len(connection.execute(select(claims)).all()) == 1


def test_waiting_claims_are_bounded(desk, identity, monkeypatch):
    monkeypatch.setattr("fleet.hub.actions.enrolment.MAX_OPEN_CLAIMS", 1)
    do_begin_claim(desk, identity, ALICE)
    with pytest.raises(Refused) as error:
        do_begin_claim(desk, identity, BOB)
    assert error.value.code == "rate_limited"


def test_a_second_device_with_the_same_name_is_refused(desk, identity, secret):
    member = do_enrol(desk, identity, request(secret=secret))
    twin = member.device[:16] + bytes(16)
    with desk.change() as change:
        change.connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        change.connection.execute(update(certificates).values(device=twin))
        change.connection.execute(update(devices).values(device=twin))
    assert refusal(desk, identity, request(secret=secret)) == "record_foreign"


def test_a_new_chain_begins_where_the_old_one_ended(desk, identity, secret, clock):
    member = do_enrol(desk, identity, request(secret=secret))
    with desk.change() as change:
        change.connection.execute(update(record_chains).values(next_seq=5, head_hash=b"h" * 32))
    clock.advance(seconds=60)
    later = do_enrol(desk, identity, request(secret=secret, chain=b"d" * 16))
    assert (later.start.chain, later.start.last_seq, later.start.last_hash) == (b"d" * 16, 4, b"h" * 32)
    renewed = do_renew(desk, identity, member.device, CSR)
    assert renewed.start.chain == b"d" * 16 and renewed.start.last_seq == 4


def test_enrolling_again_keeps_the_records_of_the_same_chain(desk, identity, secret):
    do_enrol(desk, identity, request(secret=secret))
    with desk.change() as change:
        change.connection.execute(update(record_chains).values(next_seq=5, head_hash=b"h" * 32))
    do_enrol(desk, identity, request(secret=secret))
    with desk.store.read() as connection:
        assert connection.execute(select(record_chains.c.next_seq)).scalars().all() == [5]


def test_a_renewal_needs_no_valid_certificate(desk, identity, secret, clock):
    member = do_enrol(desk, identity, request(secret=secret))
    clock.advance(seconds=7 * 24 * 3600)
    renewed = do_renew(desk, identity, member.device, CSR)
    assert renewed.issued.not_after_ms > clock.now_ms > member.issued.not_after_ms
    with desk.store.read() as connection:
        assert connection.execute(select(certificates.c.reason)).scalars().all() == ["enrol", "renew"]
