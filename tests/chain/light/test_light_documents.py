"""The JSON document of `dccn light verify`, with CometBFT's RPC JSON inside."""

import json
from typing import Any

import pytest

from chain.errors import Malformed
from chain.light.verify import parse_document, verify_document, verify_lines
from chain.wire.rfc3339 import format_time
from chain.wire.rpc_json import signed_header_to_json, validator_set_to_json

SECOND_NS = 10**9


def document(chain: Any, trusted: int, untrusted: int) -> dict[str, Any]:
    state, block = chain.trusted(trusted), chain.light_block(untrusted)
    return {
        "trusted": {
            "signed_header": signed_header_to_json(state.signed_header),
            "next_validator_set": validator_set_to_json(state.next_validators),
        },
        "untrusted": {
            "signed_header": signed_header_to_json(block.signed_header),
            "validator_set": validator_set_to_json(block.validators),
            "next_validator_set": validator_set_to_json(block.next_validators),
        },
        "now": format_time(chain.header_at(chain.height).time_ns + SECOND_NS),
        "trusting_period": str(3_600 * SECOND_NS),
        "clock_drift": "0",
        "trust_threshold": "1/3",
    }


def test_the_three_verdicts(rotating: Any) -> None:
    assert verify_document(document(rotating, 1, 3)) == {"verdict": "SUCCESS", "reason": ""}
    assert verify_document(document(rotating, 1, 9))["verdict"] == "NOT_ENOUGH_TRUST"
    expired = {**document(rotating, 1, 3), "trusting_period": "1"}
    assert verify_document(expired)["verdict"] == "INVALID"
    assert "trusting period" in verify_document(expired)["reason"]


def test_json_text_in_any_member_order_is_the_same_document(rotating: Any) -> None:
    text = json.dumps(document(rotating, 1, 3), sort_keys=True, indent=1)
    assert verify_document(parse_document(text))["verdict"] == "SUCCESS"


def test_older_names_of_the_published_vectors_are_read(rotating: Any) -> None:
    older = document(rotating, 1, 3)
    for side in ("trusted", "untrusted"):
        signed = older[side]["signed_header"]
        for block_id in (signed["commit"]["block_id"], signed["header"]["last_block_id"]):
            block_id["part_set_header"] = block_id.pop("parts")
    assert verify_document(older)["verdict"] == "SUCCESS"


def test_no_signatures_at_all_are_invalid_not_malformed(rotating: Any) -> None:
    bare = document(rotating, 1, 3)
    bare["untrusted"]["signed_header"]["commit"]["signatures"] = None
    assert verify_document(bare)["verdict"] == "INVALID"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("trusted", None),
        ("untrusted", []),
        ("now", "yesterday"),
        ("now", 5),
        ("trusting_period", "-1"),
        ("trusting_period", "1h"),
        ("trusting_period", None),
        ("clock_drift", 1.5),
        ("clock_drift", True),
        ("trust_threshold", "1/4"),
        ("trust_threshold", "2/1"),
        ("trust_threshold", "1/0"),
        ("trust_threshold", "a third"),
        ("trust_threshold", 0.5),
    ],
)
def test_a_document_that_cannot_be_read_is_malformed_and_says_where(rotating: Any, member: str, value: object) -> None:
    with pytest.raises(Malformed) as refused:
        verify_document({**document(rotating, 1, 3), member: value})
    assert refused.value.code == "malformed" and refused.value.exit_code == 2
    assert member in refused.value.message or str(value) in refused.value.message


def test_any_member_that_is_missing_or_of_another_kind_is_malformed_or_invalid_and_never_crashes(rotating: Any) -> None:
    whole = document(rotating, 1, 3)
    paths = [path for path in all_paths(whole) if len(path) < 7]
    assert len(paths) > 100
    for path in paths:
        for value in (None, 7, "x", [], {}, [[]], -1):
            spoiled = json.loads(json.dumps(whole))
            target = spoiled
            for step in path[:-1]:
                target = target[step]
            target[path[-1]] = value
            try:
                assert verify_document(spoiled)["verdict"] in {"SUCCESS", "INVALID", "NOT_ENOUGH_TRUST"}
            except Malformed as error:
                assert error.code in {"malformed", "too_large"}


def all_paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    return [path for key, item in items for path in ((*prefix, key), *all_paths(item, (*prefix, key)))]


def test_batch_mode_gives_one_verdict_per_line_and_marks_what_it_cannot_read(rotating: Any) -> None:
    good = json.dumps(document(rotating, 1, 3))
    far = json.dumps(document(rotating, 1, 9))
    verdicts = [answer["verdict"] for answer in verify_lines([good, "{", far, "[]", "[" * 100_000])]
    assert verdicts == ["SUCCESS", "MALFORMED", "NOT_ENOUGH_TRUST", "MALFORMED", "MALFORMED"]
