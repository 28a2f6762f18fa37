"""The device API: joining, renewing, registering, and every way to be refused."""

import dataclasses

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.crypto import address
from chain.crypto.keys import PrivateKey
from chain.errors import REGISTRY
from chain.proofs.receipts import open_start
from chain.wire import cose, transactions
from fleet.hub.actions.enrolment import do_create_token
from fleet.hub.ports import Inclusion
from fleet.protocol.enrolment import (
    CLAIM_TAG,
    COMMAND_KEY_TAG,
    ENROL_TAG,
    ENROLLED_TAG,
    RENEW_TAG,
    ClaimRequest,
    Enrolled,
    EnrolRequest,
    RenewRequest,
    Token,
    command_key_from_body,
)

CHAIN = b"c" * 16


@pytest.fixture
def secret(desk, identity):
    return do_create_token(desk, identity)[0].secret


def enrolment(device, secret=None, ticket=None, nonce=None):
    nonce = device.nonce() if nonce is None else nonce
    return EnrolRequest(device.key.public, secret, ticket, CHAIN, device.csr, nonce).body()


def problem(answer):
    """(status, code) of a problem document that is one."""
    document = answer.json()
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert document["status"] == answer.status_code and document["title"] == REGISTRY[document["code"]].meaning
    assert document["detail"]
    return answer.status_code, document["code"]


def opened(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/cose"
    return cose.open_envelope(answer.content), Enrolled.from_body(cose.open_envelope(answer.content).body)


def test_a_device_joins_with_a_token_and_can_check_every_word(device, secret, identity, hub):
    envelope, answer = opened(device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG))
    certificate = cose.open_envelope(answer.command_certificate)
    assert certificate.verify(identity.keys.fleet_root.public, COMMAND_KEY_TAG, "")
    fleet, command, not_after_ms = command_key_from_body(certificate.body)
    assert fleet == answer.fleet == "home" and not_after_ms > answer.time_ms
    assert envelope.verify(command, ENROLLED_TAG, "")
    start = open_start(answer.start, command, "dccn-test")
    assert (start.device, start.chain, start.last_seq) == (address.device_id(device.key.public), CHAIN, None)
    leaf = x509.load_der_x509_certificate(answer.certificate)
    leaf.verify_directly_issued_by(x509.load_der_x509_certificate(answer.ca))
    assert leaf.subject.rfc4514_string() == f"CN={address.device_id(device.key.public).hex()[:32]}"
    Token(Token.parse(Token(b"\0" * 16, secret).text).pin, secret)
    assert (answer.trusted_height, answer.rpc, answer.record_interval_ms) == (7, ["http://127.0.0.1:26657"], 1000)


def test_the_token_pins_the_ca_that_the_answer_carries(device, desk, identity):
    token, _ = do_create_token(desk, identity)
    _, answer = opened(device.post("/v1/enrol", enrolment(device, token.secret), ENROL_TAG))
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    ca = x509.load_der_x509_certificate(answer.ca)
    token.check_ca(ca.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def test_a_device_joins_with_a_claim_code_that_a_person_typed(device, page, admin):
    claim = device.post("/v1/claims/begin", ClaimRequest(device.key.public, device.nonce()).body(), CLAIM_TAG).json()
    ticket = bytes.fromhex(claim["ticket"])
    assert problem(device.post("/v1/enrol", enrolment(device, ticket=ticket), ENROL_TAG)) == (409, "claim_pending")
    typed = page.post("/api/claims", json={"code": claim["code"].lower().replace("-", " ")}, headers=admin)
    assert typed.json() == {"device": address.device_id(device.key.public).hex()[:32]}
    opened(device.post("/v1/enrol", enrolment(device, ticket=ticket), ENROL_TAG))


def test_a_machine_that_was_off_for_a_week_renews(device, secret, clock):
    opened(device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG))
    clock.advance(seconds=7 * 24 * 3600)
    body = RenewRequest(address.device_id(device.key.public), device.csr, device.nonce()).body()
    _, answer = opened(device.post("/v1/renew", body, RENEW_TAG))
    assert x509.load_der_x509_certificate(answer.certificate).not_valid_after_utc.timestamp() * 1000 > clock.now_ms
    assert answer.time_ms == clock.now_ms, "the device sets its clock by this"


def test_a_request_cannot_be_replayed(device, secret):
    body = enrolment(device, secret)
    opened(device.post("/v1/enrol", body, ENROL_TAG))
    assert problem(device.post("/v1/enrol", body, ENROL_TAG)) == (403, "token_invalid")


def test_a_forged_request_is_refused_and_costs_no_token(device, secret):
    thief = PrivateKey.from_secret("p256", b"\7" * 32)
    assert problem(device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG, key=thief)) == (403, "bad_signature")
    assert problem(device.post("/v1/enrol", enrolment(device, secret), RENEW_TAG)) == (403, "bad_signature")
    opened(device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG))


def test_another_key_cannot_renew_a_device(device, secret):
    opened(device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG))
    body = RenewRequest(address.device_id(device.key.public), device.csr, device.nonce()).body()
    thief = PrivateKey.from_secret("p256", b"\7" * 32)
    assert problem(device.post("/v1/renew", body, RENEW_TAG, key=thief)) == (403, "bad_signature")
    unknown = RenewRequest(bytes(32), device.csr, device.nonce()).body()
    assert problem(device.post("/v1/renew", unknown, RENEW_TAG)) == (404, "device_unknown")


def test_while_the_chain_is_away_nobody_joins_and_nothing_is_used_up(device, secret, hub):
    known, hub.chain.known = hub.chain.known, None
    assert problem(device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG)) == (503, "unreachable")
    hub.chain.known = known
    opened(device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG))


def test_an_oversized_body_is_refused_before_it_is_read(device):
    assert problem(device.send("/v1/enrol", b"x" * 100_000)) == (413, "too_large")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_random_bytes_are_malformed_and_nothing_worse(device, data):
    for path in ("/v1/enrol", "/v1/renew", "/v1/claims/begin", "/v1/registrations"):
        status, code = problem(device.send(path, data))
        assert (status, code) in {(400, "malformed"), (400, "non_canonical"), (413, "too_large")}


def test_unknown_paths_and_methods_are_problem_documents(devices):
    assert problem(devices.get("/v1/unheard-of")) == (404, "not_found")
    assert problem(devices.put("/v1/nonce")) == (405, "not_found")


def registration(device, hub, owner_seed=9, **changes):
    owner = PrivateKey.from_secret("ed25519", bytes([owner_seed]) * 32)
    owner_address = address.address(owner.public)
    signature = device.key.sign(transactions.device_register_bytes("dccn-test", owner_address, device.key.public))
    transaction = transactions.sign(
        owner,
        "dccn-test",
        transactions.device_register(device.key.public, signature),
        nonce=0,
        fee=5 * 10**18,
        fee_payer=hub.identity.keys.account.public,
    )
    return dataclasses.replace(transaction, **changes).encode()


def test_the_hub_pays_for_its_own_devices(device, secret, hub):
    raw = registration(device, hub)
    assert problem(device.send("/v1/registrations", raw)) == (404, "device_unknown")
    opened(device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG))
    assert device.send("/v1/registrations", raw).json() == {"hash": (b"h" * 32).hex()}
    assert hub.chain.sponsored == [raw]


def test_the_hub_pays_for_nothing_else(device, secret, hub):
    opened(device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG))
    other = registration(device, hub, fee_payer=device.key.public)
    assert problem(device.send("/v1/registrations", other)) == (400, "tx_unauthorised")
    transfer = transactions.sign(
        PrivateKey.from_secret("ed25519", b"\1" * 32), "dccn-test", transactions.transfer(b"a" * 20, 1), nonce=0, fee=1
    )
    assert problem(device.send("/v1/registrations", transfer.encode())) == (400, "tx_unknown_type")
    assert hub.chain.sponsored == []


def test_one_owner_has_a_quota_and_a_second_try_does_not_count(device, secret, hub, monkeypatch):
    monkeypatch.setattr("fleet.hub.actions.registrations.SPONSORED_PER_OWNER", 1)
    opened(device.post("/v1/enrol", enrolment(device, secret), ENROL_TAG))
    raw = registration(device, hub)
    assert [device.send("/v1/registrations", raw).status_code for _ in range(2)] == [200, 200]
    second = type(device)(device.client, seed=2)
    token, _ = do_create_token(hub.desk, hub.identity)
    opened(second.post("/v1/enrol", enrolment(second, token.secret), ENROL_TAG))
    assert problem(second.send("/v1/registrations", registration(second, hub))) == (429, "tx_quota")


def test_inclusion_is_told_when_a_block_has_it(devices, hub):
    path = f"/v1/inclusion/{'ab' * 16}/{'cd' * 16}/5"
    assert problem(devices.get(path)) == (404, "record_pending")
    hub.proofs.inclusion = lambda device, chain, seq: Inclusion(
        3, 44, b"h" * 32, b"r" * 32, 8, 1 << 70, seq, 2, b"record", [(b"n" * 32, 1 << 69)]
    )
    document = devices.get(path).json()
    assert (document["index"], document["sum"], document["height"]) == (5, str(1 << 70), 44)
    assert document["path"] == [["6e" * 32, str(1 << 69)]] and document["record"] == "cmVjb3Jk"


@pytest.mark.parametrize(
    "path", ["x/y/0", f"{'ab' * 16}/{'cd' * 16}/-1", f"{'ab' * 16}/zz/1", f"{'ab' * 16}/{'cd' * 16}/{2**64}"]
)
def test_a_bad_inclusion_path_is_malformed(devices, path):
    status, code = problem(devices.get(f"/v1/inclusion/{path}"))
    assert (status, code) in {(400, "malformed"), (404, "not_found")}


def test_the_api_is_described(devices):
    paths = devices.get("/schema/openapi.json").json()["paths"]
    assert {"/v1/nonce", "/v1/enrol", "/v1/renew", "/v1/claims/begin", "/v1/registrations"} <= set(paths)
