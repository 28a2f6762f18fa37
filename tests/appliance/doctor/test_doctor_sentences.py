"""Problems as people read them, on every face of the machine."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from appliance.console.facts import Facts
from appliance.console.screen import screen
from appliance.doctor.sentences import ailments

LOST = {
    "kind": "gpu_lost",
    "said": "the card 0000:01:00.0 fell off the PCI bus",
    "suggestion": "Check its power cables.",
    "attempts": [{"repair": "restart-workload", "outcome": "done"}, {"repair": "reset-gpu", "outcome": "failed"}],
    "next_repair": "quarantine-gpu",
}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(sorted(LOST)), inner, max_size=5),
    max_leaves=12,
)


def test_a_problem_is_one_line_with_what_was_tried_and_what_comes_next() -> None:
    assert list(ailments({"problems": [LOST]})) == [
        "the card 0000:01:00.0 fell off the PCI bus; tried reset-gpu, without success; next it tries quarantine-gpu"
    ]


def test_where_nothing_more_is_tried_the_owner_is_told_what_to_do() -> None:
    (line,) = ailments({"problems": [{**LOST, "attempts": [], "next_repair": None}]})
    assert line == "the card 0000:01:00.0 fell off the PCI bus; Check its power cables."


def test_the_screen_shows_it() -> None:
    shown = screen(Facts("dccn-1", "7", (), {"enrolled": True, "connected": True, "problems": [LOST]}, {}))
    assert "ails" in shown and "fell off the PCI bus" in shown


@given(values)
def test_a_status_of_any_shape_is_read_without_harm(problems: Any) -> None:
    assert all(isinstance(line, str) for line in ailments({"problems": problems}))
    screen(Facts("dccn-1", None, (), {"problems": [problems]}, {}))
