"""Whatever a kubelet says, a record can hold it: figures that make no sense are left out, and the rest is written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.agent.workloads.deployment import LEASE
from appliance.agent.workloads.loads import loads
from chain.proofs import counters
from chain.proofs.records import LOADS_MAX, Record

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
group = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("usageCoreNanoSeconds", "rssBytes", "txBytes", "rxBytes"), anything),
)
figures = st.fixed_dictionaries({}, optional=dict.fromkeys(("cpu", "memory", "network"), group | anything))


class Kubelet:
    """A cluster whose one node says of its pods what it is told to say."""

    def __init__(self, said: list[dict[str, Any]], image: str = "x@sha256:ab", phase: str = "Running") -> None:
        self.said = said
        self.image, self.phase = image, phase
        self.core = SimpleNamespace(list_pod_for_all_namespaces=None)

    def ask(self, _what: str, _call: object, **_options: object) -> Any:
        return SimpleNamespace(items=[self._pod(number) for number in range(len(self.said))])

    def get(self, _path: str) -> dict[str, Any]:
        return {"pods": [{"podRef": {"uid": str(number)}, **each} for number, each in enumerate(self.said)]}

    def _pod(self, number: int) -> Any:
        metadata = SimpleNamespace(uid=str(number), name=f"p{number}", labels={LEASE: f"l{number:04}"})
        statuses = [SimpleNamespace(image_id=self.image)]
        return SimpleNamespace(metadata=metadata, status=SimpleNamespace(phase=self.phase, container_statuses=statuses))


def written(found: tuple[Any, ...]) -> Record:
    record = Record(b"d" * 32, b"c" * 16, 0, b"", b"b" * 16, 0, 1, {}, (), found, ())
    for load in found:
        counters.check_readable({name: getattr(load, name) for name in counters.LOAD})
    return record


@given(st.lists(figures, max_size=4))
def test_a_record_takes_whatever_the_kubelet_says(said: list[dict[str, Any]]) -> None:
    found = loads(Kubelet(said), "box")  # type: ignore[arg-type]
    assert [load.lease for load in found] == [f"l{number:04}" for number in range(len(said))]
    written(found)


@given(st.text(max_size=400), st.text(max_size=400))
def test_names_are_cut_to_what_a_record_holds(image: str, phase: str) -> None:
    (load,) = loads(Kubelet([{}], image, phase), "box")  # type: ignore[arg-type]
    assert len(load.image_digest.encode()) <= 160 and len(load.state.encode()) <= 160
    assert load.image_digest and load.state


@pytest.mark.parametrize("count", [0, 1, LOADS_MAX, LOADS_MAX + 50])
def test_a_record_has_no_more_loads_than_it_holds(count: int) -> None:
    assert len(loads(Kubelet([{}] * count), "box")) == min(count, LOADS_MAX)  # type: ignore[arg-type]
