"""Four real nodes in four network namespaces, cut apart and joined again: who may go on, and what nobody may lose."""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import sha256

import pytest

from tests.chain.engines.cometbft.namespaces import DividedNetwork, why_not
from tests.chain.engines.cometbft.network import NodeProcess, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

STILL_S = 5.0
HEAL_S = 180.0


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DividedNetwork]:
    if reason := why_not():
        pytest.skip(reason)
    with DividedNetwork(tmp_path_factory.mktemp("divided")) as network:
        yield network
        network.heal()


def heights(nodes: list[NodeProcess]) -> list[int]:
    return [node.rpc.status().height for node in nodes]


def standing_still(nodes: list[NodeProcess]) -> list[int]:
    """The heights of nodes that decide nothing any more; a block may have been on its way when they were cut off."""

    def unchanged() -> list[int]:
        before = heights(nodes)
        time.sleep(STILL_S)
        return before if heights(nodes) == before else []

    return wait_for(unchanged)


def pay(network: DividedNetwork, by: NodeProcess, count: int = 3) -> list[bytes]:
    """Hashes of payments that this node took into its mempool."""
    sent = []
    for _ in range(count):
        tx = network.payment()
        assert by.rpc.broadcast_tx_sync(tx).code == 0
        sent.append(sha256(tx).digest())
    return sent


def committed(node: NodeProcess, sent: list[bytes]) -> dict[bytes, int]:
    """Where the node says that they are, once it says so of all."""
    return {each: wait_for(lambda each=each: node.rpc.tx(each), HEAL_S).height for each in sent}


def same_history(network: DividedNetwork, last: int) -> None:
    for height in range(2, last):
        assert len(network.app_hashes(height)) == 1, f"height {height}"


def test_a_cut_is_a_cut_and_healing_mends_it(four: DividedNetwork) -> None:
    four.cut_off([3])
    assert four.reaches(0, 1) and not four.reaches(0, 3) and not four.reaches(3, 1)
    four.heal()
    wait_for(lambda: four.reaches(0, 3) and four.reaches(3, 1))


def test_one_of_four_cut_off_stops_the_others_go_on_and_it_catches_up(
    four: DividedNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    majority, lonely = four.nodes[:3], four.nodes[3]
    before = committed(four.nodes[0], pay(four, four.nodes[0]))
    four.cut_off([3])
    (stuck,) = standing_still([lonely])
    during = committed(majority[1], pay(four, majority[1]))
    wait_for(lambda: min(heights(majority)) >= stuck + 10, HEAL_S)
    assert heights([lonely]) == [stuck]
    assert not any(lonely.rpc.tx(each) for each in during)

    four.heal()
    healed_s, target = time.monotonic(), max(heights(majority)) + 3
    wait_for(lambda: min(heights(four.nodes)) >= target, HEAL_S)
    with capsys.disabled():
        print(f"\n3-1: stopped at {stuck}, {target - stuck} blocks behind, "
              f"caught up {time.monotonic() - healed_s:.0f} s after")  # fmt: skip
    same_history(four, target)
    for node in four.nodes:
        assert committed(node, [*before, *during]) == before | during


def test_a_node_that_is_killed_while_cut_off_comes_back_and_catches_up(four: DividedNetwork) -> None:
    majority, lonely = four.nodes[:3], four.nodes[3]
    four.cut_off([3])
    (stuck,) = standing_still([lonely])
    assert lonely.process is not None
    lonely.process.kill()
    lonely.process.wait()
    during = committed(majority[0], pay(four, majority[0]))
    four.start(lonely)
    wait_for(lambda: heights([lonely]) == [stuck])
    four.heal()
    target = max(heights(majority)) + 3
    wait_for(lambda: min(heights(four.nodes)) >= target, HEAL_S)
    same_history(four, target)
    assert committed(lonely, list(during)) == during


def test_two_and_two_decide_nothing_and_the_whole_goes_on(
    four: DividedNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    before = committed(four.nodes[0], pay(four, four.nodes[0]))
    four.cut_off([2, 3])
    stuck = standing_still(four.nodes)
    assert max(stuck) - min(stuck) <= 1
    waiting = pay(four, four.nodes[0])
    assert standing_still(four.nodes) == stuck
    assert not any(node.rpc.tx(each) for node in four.nodes for each in waiting)

    four.heal()
    healed_s, target = time.monotonic(), max(stuck) + 5
    wait_for(lambda: min(heights(four.nodes)) >= target, HEAL_S)
    found = committed(four.nodes[0], waiting)
    with capsys.disabled():
        print(f"\n2-2: stopped at {max(stuck)}, went on {time.monotonic() - healed_s:.0f} s after the cut was mended")
    target = max(target, *found.values()) + 2
    wait_for(lambda: min(heights(four.nodes)) >= target, HEAL_S)
    same_history(four, target)
    for node in four.nodes:
        assert committed(node, [*before, *waiting]) == before | found
