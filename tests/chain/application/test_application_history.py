"""Reverse diffs give back every earlier state."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from chain.application.history import decode_diff, diffs_after, encode_diff, expired, reverse_diff, values_at
from chain.application.store import StateStore, height_key

CHANGES = st.lists(
    st.dictionaries(st.binary(min_size=1, max_size=2), st.one_of(st.none(), st.binary(max_size=3)), max_size=4),
    max_size=12,
)


@given(CHANGES)
def test_undoing_diffs_leads_back_to_every_earlier_state(blocks: list[dict[bytes, bytes | None]]) -> None:
    state: dict[bytes, bytes] = {}
    states, diffs = [dict(state)], []
    for changes in blocks:
        diffs.append(reverse_diff(changes, state.get))
        for key, value in changes.items():
            state.pop(key, None) if value is None else state.__setitem__(key, value)
        states.append(dict(state))
    for height, expected in enumerate(states):
        past = dict(state)
        for key, value in values_at(diffs[height:]).items():
            past.pop(key, None) if value is None else past.__setitem__(key, value)
        assert past == expected


@given(st.dictionaries(st.binary(min_size=1, max_size=8), st.one_of(st.none(), st.binary(max_size=8))))
def test_a_diff_survives_its_encoding(diff: dict[bytes, bytes | None]) -> None:
    assert decode_diff(encode_diff(diff)) == diff


def test_only_diffs_above_the_height_are_read_and_only_old_ones_expire(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    store.write({"diff": {height_key(height): encode_diff({b"k": b"%d" % height}) for height in range(1, 206)}})
    assert [diff[b"k"] for diff in diffs_after(store, 203)] == [b"204", b"205"]
    # Height 106's diff leads from 106 to 105; the last 100 heights before 205 are 105 to 204.
    assert sorted(expired(store, 205, kept=100)) == [height_key(height) for height in range(1, 106)]
