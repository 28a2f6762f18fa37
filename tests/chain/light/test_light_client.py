"""Following a chain through a node that need not be trusted, and the attacks of a node that lies."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.errors import Refused, Unavailable
from chain.light.client import BACKWARD_MAX, LightClient
from chain.light.step import TrustOptions
from chain.light.store import KEPT_MAX, FileTrustStore, MemoryTrustStore
from chain.wire.cometbft import SignedHeader, ValidatorSet

SECOND_NS = 10**9


class Node:
    """An RPC node that answers from a chain, except where the test replaced an answer."""

    def __init__(self, chain: Any, height: int | None = None) -> None:
        self.chain = chain
        self.top = height or chain.height
        self.headers: dict[int, SignedHeader] = {}
        self.sets: dict[int, ValidatorSet] = {}
        self.asked: list[int] = []

    def signed_header(self, height: int | None = None) -> SignedHeader:
        asked = height or self.top
        self.asked.append(asked)
        if asked > self.top:
            raise Unavailable("unreachable", f"no height {asked}")
        return self.headers.get(asked) or self.chain.signed[asked]

    def validators(self, height: int | None = None) -> ValidatorSet:
        return self.sets.get(height or self.top) or self.chain.validators(height)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.chain, name)


def client_of(chain: Any, node: Node | None = None, trusted: int = 1, **more: Any) -> LightClient:
    end_ns = chain.header_at(chain.height).time_ns
    options = TrustOptions(trusting_period_ns=3_600 * SECOND_NS)
    defaults = {"options": options, "now_ns": lambda: end_ns + SECOND_NS}
    trusted_hash = chain.header_at(trusted).hash()
    return LightClient(node or Node(chain), "dccn-test", trusted, trusted_hash, **{**defaults, **more})


def forged(
    chain: Any, height: int, names: Sequence[str], commit_by: Callable[..., Any], set_of: Callable[..., Any]
) -> Any:
    mine = set_of(names)
    header = replace(
        chain.header_at(height), app_hash=b"\x66" * 32, validators_hash=mine.hash(), next_validators_hash=mine.hash()
    )
    return SignedHeader(header, commit_by(header, names, names)), mine


def test_the_newest_header_is_verified_in_one_step_while_validators_stay(steady: Any) -> None:
    node = Node(steady)
    client = client_of(steady, node)
    assert client.update() == steady.header_at(40)
    assert node.asked == [1, 40]


def test_bisection_crosses_any_change_of_validators(rotating: Any) -> None:
    node = Node(rotating)
    assert client_of(rotating, node).update() == rotating.header_at(32)
    assert len(set(node.asked)) < 32, "some heights are skipped"


def test_following_block_by_block_asks_for_each_once(steady: Any) -> None:
    node = Node(steady, height=2)
    client = client_of(steady, node)
    for node.top in range(2, 12):
        assert client.update().height == node.top
        assert client.update().height == node.top
    assert client.newest_trusted() == steady.header_at(11)


def test_any_height_is_reached_forwards_or_backwards(steady: Any) -> None:
    client = client_of(steady, trusted=20)
    for height in (20, 25, 22, 40, 19, 5, 1, 5):
        assert client.header(height) == steady.header_at(height)


def test_a_node_that_falls_behind_takes_nothing_back(steady: Any) -> None:
    node = Node(steady)
    client = client_of(steady, node)
    client.update()
    node.top = 10
    assert client.update() == steady.header_at(40)


def test_a_height_that_is_not_there_yet_is_unavailable(steady: Any) -> None:
    with pytest.raises(Unavailable):
        client_of(steady).header(41)


def test_heights_that_no_link_reaches_are_refused(steady: Any) -> None:
    for height in (0, -1):
        with pytest.raises(Refused, match="light_not_enough_trust"):
            client_of(steady, trusted=20).header(height)
    assert BACKWARD_MAX < 10_000


def test_another_genesis_or_wrong_trusted_hash_is_refused(
    steady: Any, made_chain: Callable[..., Any], four: Any
) -> None:
    impostor = made_chain([four] * 10, salt=b"other")
    with pytest.raises(Refused, match="light_invalid"):
        client_of(steady, Node(impostor)).update()


def test_the_trusted_hash_alone_does_not_do_without_signatures(steady: Any) -> None:
    node = Node(steady)
    commit = steady.signed[1].commit
    unsigned = tuple(replace(slot, signature=bytes(64)) for slot in commit.signatures)
    node.headers[1] = replace(steady.signed[1], commit=replace(commit, signatures=unsigned))
    with pytest.raises(Refused, match="trusted height 1"):
        client_of(steady, node).update()


def test_another_chain_id_is_refused(steady: Any) -> None:
    client = LightClient(Node(steady), "another", 1, steady.header_at(1).hash(), now_ns=lambda: 0)
    with pytest.raises(Refused, match="light_invalid"):
        client.update()


def test_trust_that_is_too_old_is_refused_even_for_what_is_known(steady: Any) -> None:
    now = [steady.header_at(40).time_ns + SECOND_NS]
    client = client_of(steady, now_ns=lambda: now[0])
    client.update()
    now[0] += 3_600 * SECOND_NS
    for ask in (client.update, lambda: client.header(39)):
        with pytest.raises(Refused, match="light_expired"):
            ask()


def test_an_expired_anchor_does_not_matter_while_something_newer_is_trusted(steady: Any) -> None:
    options = TrustOptions(trusting_period_ns=30 * SECOND_NS)
    now = [steady.header_at(20).time_ns]
    node = Node(steady, height=20)
    client = client_of(steady, node, options=options, now_ns=lambda: now[0])
    client.update()
    now[0], node.top = steady.header_at(40).time_ns, 40
    assert client.update() == steady.header_at(40)
    assert client.header(30) == steady.header_at(30), "forwards from 20"
    assert client.header(12) == steady.header_at(12), "backwards from 20, since 1 has expired"


def test_a_forged_commit_is_refused_and_nothing_is_kept(
    steady: Any, commit_by: Callable[..., Any], set_of: Callable[..., Any]
) -> None:
    """Strangers sign a header with their own set: too little trust, and the pivots lead back to the honest chain."""
    node = Node(steady)
    node.headers[40], node.sets[40] = forged(steady, 40, ["m1", "m2", "m3", "m4"], commit_by, set_of)
    node.sets[41] = node.sets[40]
    client = client_of(steady, node)
    with pytest.raises(Refused, match="light_invalid"):
        client.update()
    assert client.newest_trusted().app_hash != b"\x66" * 32  # type: ignore[union-attr]


def test_the_right_header_with_wrong_validators_is_refused(steady: Any, set_of: Callable[..., Any]) -> None:
    node = Node(steady)
    node.sets[40] = set_of(["a", "b", "c", "mallory"])
    with pytest.raises(Refused, match="light_invalid"):
        client_of(steady, node).update()


def test_an_edited_header_under_the_old_commit_is_refused(steady: Any) -> None:
    node = Node(steady)
    node.headers[40] = replace(steady.signed[40], header=replace(steady.header_at(40), app_hash=b"\x66" * 32))
    with pytest.raises(Refused, match="light_invalid"):
        client_of(steady, node).update()


def test_an_answer_of_another_height_is_refused(steady: Any) -> None:
    node = Node(steady)
    node.headers[30] = steady.signed[29]
    with pytest.raises(Refused, match="light_invalid"):
        client_of(steady, node).header(30)


def test_a_broken_link_backwards_is_refused(steady: Any) -> None:
    node = Node(steady)
    node.headers[15] = replace(steady.signed[15], header=replace(steady.header_at(15), app_hash=b"\x66" * 32))
    with pytest.raises(Refused, match="light_invalid"):
        client_of(steady, node, trusted=20).header(10)


def test_a_witness_with_another_header_raises_the_alarm(steady: Any, made_chain: Callable[..., Any], four: Any) -> None:
    fork = made_chain([four] * 41, salt=b"fork")
    with pytest.raises(Refused, match="witness"):
        client_of(steady, witnesses=[Node(steady), Node(fork)]).update()
    behind = Node(steady, height=3)
    assert client_of(steady, witnesses=[behind]).update().height == 40


def test_the_newest_state_survives_a_restart_in_its_file(steady: Any, tmp_path: Path) -> None:
    path = tmp_path / "light.json"
    client_of(steady, store=FileTrustStore(path)).update()
    node = Node(steady)
    again = client_of(steady, node, store=FileTrustStore(path))
    assert again.newest_trusted() == steady.header_at(1), "the anchor was written, the next one comes 100 heights later"
    eager = tmp_path / "eager.json"
    client_of(steady, store=FileTrustStore(eager, every_heights=1)).update()
    restarted = client_of(steady, node, store=FileTrustStore(eager))
    assert restarted.newest_trusted() == steady.header_at(40)
    assert restarted.header(35) == steady.header_at(35)


def test_a_damaged_file_is_as_good_as_none(steady: Any, tmp_path: Path) -> None:
    path = tmp_path / "light.json"
    for damage in ("", "{", "[]", '{"signed_header": {}}', "\x00"):
        path.write_text(damage)
        assert client_of(steady, store=FileTrustStore(path)).update() == steady.header_at(40)


def test_the_store_is_bounded_and_keeps_the_ends(steady: Any) -> None:
    store = MemoryTrustStore()
    states = [replace(steady.trusted(1), signed_header=steady.signed[1])]
    for height in range(1, KEPT_MAX + 20):
        header = replace(steady.header_at(1), height=height)
        store.put(replace(states[0], signed_header=replace(steady.signed[1], header=header)))
    kept = [state.height for state in store.states()]
    assert kept == [1, *range(21, KEPT_MAX + 20)]
