"""Enrolment bodies and tokens: round trips, and refusal of everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.keys import PrivateKey
from chain.errors import Malformed, Refused
from chain.wire import cbor
from fleet.protocol.enrolment import (
    ClaimRequest,
    Enrolled,
    EnrolRequest,
    RenewRequest,
    Token,
    ca_pin,
    command_key_body,
    command_key_from_body,
)

IDENTITY = PrivateKey.from_secret("p256", b"\1" * 32).public
ROOT = PrivateKey.from_secret("ed25519", b"\2" * 32).public
ENROL = EnrolRequest(IDENTITY, b"s" * 16, None, b"c" * 16, b"csr", b"n" * 16)


@pytest.mark.parametrize(
    "request_", [ENROL, ClaimRequest(IDENTITY, b"n" * 16), RenewRequest(b"d" * 32, b"csr", b"n" * 16)]
)
def test_a_request_survives_the_wire(request_):
    assert type(request_).from_body(cbor.decode(cbor.encode(request_.body()))) == request_


@pytest.mark.parametrize("position", range(7))
@pytest.mark.parametrize("wrong", [7, "text", b"x", [], b"y" * 5000])
def test_a_wrong_field_is_malformed(position, wrong):
    body = ENROL.body()
    body[position] = wrong
    if position == 5 and isinstance(wrong, bytes) and len(wrong) < 4096:
        body[5] = b""
    with pytest.raises(Malformed):
        EnrolRequest.from_body(body)


@pytest.mark.parametrize("secret, ticket", [(None, None), (b"s" * 16, b"t" * 16)])
def test_a_device_comes_with_a_token_or_with_a_ticket(secret, ticket):
    with pytest.raises(Malformed):
        EnrolRequest.from_body(EnrolRequest(IDENTITY, secret, ticket, b"c" * 16, b"csr", b"n" * 16).body())


def test_the_answer_survives_the_wire_and_ignores_news():
    answer = Enrolled(
        certificate=b"c", ca=b"a", broker_host="h", broker_port=8883, fleet="home", fleet_root=ROOT.cose(),
        command_certificate=b"cc", chain_id="dccn-demo", genesis_hash=b"g" * 32, trusted_height=7,
        trusted_hash=b"t" * 32, rpc=["http://127.0.0.1:26657"], time_ms=1, start=b"s", sponsor=ROOT.cose(),
        transaction_fee=5 * 10**18, record_interval_ms=1000, pog_profile="light",
    )  # fmt: skip
    body = {**cbor.decode(cbor.encode(answer.body())), "news": 1}
    assert Enrolled.from_body(body) == answer
    del body["rpc"]
    with pytest.raises(Malformed):
        Enrolled.from_body(body)


@given(st.binary(min_size=32, max_size=32))
def test_a_token_is_read_however_it_was_typed(data):
    token = Token(data[:16], data[16:])
    assert Token.parse(token.text) == token
    assert Token.parse(f"  {token.text.lower().replace('-', ' ')}\n") == token


@pytest.mark.parametrize("text", ["", "ABCD", "!" * 52, "A" * 51, "A" * 60, "1" * 52])
def test_a_mistyped_token_is_told_so(text):
    with pytest.raises(Malformed):
        Token.parse(text)


def test_a_token_pins_one_ca():
    token = Token(ca_pin(b"spki"), b"s" * 16)
    token.check_ca(b"spki")
    with pytest.raises(Refused) as error:
        token.check_ca(b"other")
    assert error.value.code == "ca_mismatch"


def test_a_command_key_certificate_names_fleet_key_and_end():
    body = cbor.decode(cbor.encode(command_key_body("home", ROOT, 99)))
    assert command_key_from_body(body) == ("home", ROOT, 99)
    with pytest.raises(Malformed):
        command_key_from_body(["cmdkey1", "home", ROOT.cose(), True])
