"""The lines between helper and callers: canonical, bounded, and nothing else gets in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.helper.line import (
    MAX_REQUEST_BYTES,
    Request,
    read_answer,
    read_request,
    write_answer,
    write_error,
    write_request,
)
from chain.errors import REGISTRY, DccnError, Malformed, Refused

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
requests = st.builds(Request, texts, st.dictionaries(texts, values, max_size=4), st.none() | texts)


def test_a_request_is_this_very_line() -> None:
    line = b'{"arguments":{"unit":"k3s.service"},"verb":"restart-unit"}\n'
    assert write_request(Request("restart-unit", {"unit": "k3s.service"})) == line
    assert read_request(line) == Request("restart-unit", {"unit": "k3s.service"})
    assert write_answer({"b": 1, "a": None}) == b'{"answer":{"a":null,"b":1},"ok":true}\n'


@given(requests)
def test_a_request_is_read_as_it_was_written(request: Request) -> None:
    assert read_request(write_request(request)) == request


@given(st.dictionaries(texts, values, max_size=6))
def test_an_answer_is_read_as_it_was_written(answer: dict[str, object]) -> None:
    assert read_answer(write_answer(answer)) == answer


@given(st.sampled_from(sorted(REGISTRY)), texts, st.none() | st.integers(1, 10**6))
def test_an_error_arrives_as_the_error_it_was(code: str, message: str, retry_after_s: int | None) -> None:
    error = Refused(code, message)
    error.retry_after_s = retry_after_s
    with pytest.raises(DccnError) as caught:
        read_answer(write_error(error))
    assert (caught.value.code, caught.value.message, caught.value.retry_after_s) == (code, message, retry_after_s)


@given(st.binary(max_size=300) | st.from_regex(r"[\[{\"a-z0-9:,}\] ]{0,60}\n?").map(str.encode))
def test_any_bytes_are_a_request_or_refused(line: bytes) -> None:
    try:
        request = read_request(line)
    except Malformed:
        return
    assert write_request(request) == line


@given(requests, st.data())
def test_a_line_has_one_form_only(request: Request, data: st.DataObject) -> None:
    document = json.loads(write_request(request))
    spaced = json.dumps(document, indent=data.draw(st.none() | st.integers(0, 2)), ensure_ascii=False)
    for other in (spaced.encode("utf-8", "surrogatepass") + b"\n", write_request(request) + b"\n"):
        with pytest.raises(Malformed):
            read_request(other)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "malformed"),
        (b"\n", "malformed"),
        (b"[]\n", "malformed"),
        (b"{}\n", "malformed"),
        (b'{"arguments":{},"verb":7}\n', "malformed"),
        (b'{"arguments":[],"verb":"reboot"}\n', "malformed"),
        (b'{"arguments":{},"pin":7,"verb":"reboot"}\n', "malformed"),
        (b'{"arguments":{},"as":"root","verb":"reboot"}\n', "malformed"),
        (b'{"arguments":{},"verb":"reboot"}', "non_canonical"),
        (b'{"verb":"reboot","arguments":{}}\n', "non_canonical"),
        (b'{"arguments":{},"verb":"a","verb":"reboot"}\n', "non_canonical"),
        (b'{"arguments":{},"verb":"\\u0072eboot"}\n', "non_canonical"),
        (b'{"arguments":{},"verb":"\xff"}\n', "malformed"),
        (b"[" * 4000 + b"\n", "malformed"),
        (b'"' + b"a" * MAX_REQUEST_BYTES + b'"\n', "too_large"),
    ],
)
def test_what_is_no_request_is_refused_with_its_reason(line: bytes, code: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_request(line)
    assert refused.value.code == code


def test_a_request_too_large_is_not_even_sent() -> None:
    with pytest.raises(Malformed, match="at most 4096"):
        write_request(Request("reboot", {"reason": "x" * MAX_REQUEST_BYTES}))


@pytest.mark.parametrize(
    "line", [b'{"ok":true}\n', b'{"code":"nonsense","error":"x","ok":false}\n', b'{"answer":1,"ok":true}\n']
)
def test_what_is_no_answer_is_not_taken_for_one(line: bytes) -> None:
    with pytest.raises(Malformed):
        read_answer(line)
