"""JSON messages: additive, bounded by their types, unknown is null."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.errors import Malformed
from fleet.protocol.messages import GpuTelemetry, Hardware, Reported, State, SystemTelemetry, decode, encode


def test_a_message_survives_the_wire():
    reported = Reported(version=3, hardware=Hardware(hostname="a", memory_bytes=1 << 34))
    assert decode(encode(reported), Reported) == reported


def test_unknown_is_null_and_not_zero():
    document = json.loads(encode(SystemTelemetry(at_ms=1, unknown={"temp_c": "no_sensor"})))
    assert document["temp_c"] is None and document["unknown"] == {"temp_c": "no_sensor"}


def test_a_newer_sender_may_add_fields():
    assert decode(b'{"online": true, "colour": "green"}', State) == State(online=True)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"online": "yes"}', b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_the_message_is_malformed(data):
    with pytest.raises(Malformed) as error:
        decode(data, State)
    assert error.value.code == "malformed"


@given(st.binary(max_size=200))
def test_random_bytes_are_malformed_and_nothing_worse(data):
    with pytest.raises(Malformed):
        decode(data, GpuTelemetry)
